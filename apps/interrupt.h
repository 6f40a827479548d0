// Signals: taken by a thread of their own, and seen by loops as a token.
#pragma once

#include <stop_token>

namespace foreplan::apps {

/// Call once, at the start of main, before any other thread is made. From then on SIGINT, SIGTERM
/// and SIGHUP (unless the program was told to ignore that, as by nohup) are blocked in every thread
/// and taken by one that waits for them: no handler ever runs on the stack of a thread that works,
/// which matrix kernels may have moved into the heap. Until CatchInterrupts is called, the first of
/// them ends the program at once, with exit code 130: nothing is written so early.
/// A pipe or terminal that is gone becomes an error of the write, not the end of the program.
void TakeSignals();

/// From now on such a signal stops by the returned token; a second one ends the program at once
/// (what is on disk can be resumed at any time).
std::stop_token CatchInterrupts();

}  // namespace foreplan::apps
