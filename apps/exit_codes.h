// Exit codes of the program; scripts rely on them.
#pragma once

namespace foreplan::apps {

inline constexpr int kDone = 0;
inline constexpr int kWrongInput = 2;
inline constexpr int kRunFailed = 3;      // what was recorded is kept
inline constexpr int kInterrupted = 130;  // can be resumed

}  // namespace foreplan::apps
