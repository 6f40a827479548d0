// A small HTTP server of the program's own pages: bound to this machine alone unless asked
// otherwise.
#pragma once

#include <httplib.h>

#include <memory>
#include <stop_token>
#include <string>

namespace foreplan::apps {

struct WebOptions {
  std::string host = "127.0.0.1";
  int port = 0;              // 0: a free one
  bool needs_token = false;  // also where the host is this machine's alone
  bool takes_posts = false;  // else GET and HEAD alone
};

/// Answers nobody but those who name it as it is bound, which pages of other sites cannot (DNS
/// rebinding), and, where it is bound to more than this machine, who has its token. Pages may load
/// nothing from elsewhere. Connections are let go when the server stops.
class WebServer {
 public:
  /// Binds. Throws InputError where the port is taken or the host is not this machine's.
  explicit WebServer(const WebOptions& options);

  /// What is answered; add to it before Serve. Handlers run on threads of the server.
  [[nodiscard]] httplib::Server& routes() { return *server_; }

  /// Of its first page, with the token where it needs one.
  [[nodiscard]] std::string url() const;
  [[nodiscard]] bool has_token() const { return !token_.empty(); }

  /// Until `stop` is requested.
  void Serve(const std::stop_token& stop);

 private:
  void Bind();
  [[nodiscard]] bool Admits(const httplib::Request& request, httplib::Response& response) const;
  [[nodiscard]] bool IsOwnName(std::string name) const;

  WebOptions options_;
  std::string token_;  // "": none is asked for
  int port_ = 0;
  std::unique_ptr<httplib::Server> server_;
};

/// `host` is of this machine alone.
[[nodiscard]] bool IsLoopback(const std::string& host);

/// Answers with these bytes as they are.
void Send(httplib::Response& response, const std::string& type,
          std::shared_ptr<const std::string> bytes);
void Send(httplib::Response& response, const std::string& type, std::string bytes);
/// {"error": text}.
void SendError(httplib::Response& response, int status, const std::string& text);

}  // namespace foreplan::apps
