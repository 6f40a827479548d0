#include "apps/web_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>
#include <utility>

#include "foreplan/core/error.h"

namespace foreplan::apps {
namespace {

constexpr size_t kThreads = 24;
constexpr int kIdleSeconds = 1;  // that a connection is kept for another request
constexpr int kSlowSeconds = 5;  // that a request or an answer may stand still

// Pages hold their scripts and styles in themselves; nothing comes from or goes to elsewhere.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; img-src blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::string NewToken() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw RunError(
        fmt::format("no random numbers for a token: {}", std::generic_category().message(errno)));
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// In a time that does not depend on where they differ.
bool AreEqual(const std::string& found, const std::string& expected) {
  if (found.size() != expected.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    difference |= static_cast<unsigned char>(found[i]) ^ static_cast<unsigned char>(expected[i]);
  }
  return difference == 0;
}

bool IsAnyAddress(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

/// As it stands in a URL.
std::string InUrl(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

/// Without sharing the port with another process, which the library does by default.
void SetSocketOptions(int socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

httplib::Headers DefaultHeaders() {
  return {{"Content-Security-Policy", kContentSecurityPolicy},
          {"X-Content-Type-Options", "nosniff"},
          {"Cache-Control", "no-store"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Referrer-Policy", "no-referrer"}};
}

std::string TextOf(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& caught) {
    return caught.what();
  } catch (...) {
    return "something went wrong";
  }
}

}  // namespace

bool IsLoopback(const std::string& host) {
  if (host == "localhost" || host == "::1") return true;
  in_addr address{};  // no name that only begins like one
  return inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

WebServer::WebServer(const WebOptions& options)
    : options_(options), server_(std::make_unique<httplib::Server>()) {
  if (options_.needs_token || !IsLoopback(options_.host)) token_ = NewToken();
  server_->new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server_->set_socket_options(SetSocketOptions);
  server_->set_tcp_nodelay(true);
  server_->set_keep_alive_timeout(kIdleSeconds);
  server_->set_read_timeout(kSlowSeconds);
  server_->set_write_timeout(kSlowSeconds);
  server_->set_default_headers(DefaultHeaders());
  if (!options_.takes_posts) server_->set_payload_max_length(0);
  server_->set_pre_routing_handler([this](const auto& request, auto& response) {
    return Admits(request, response) ? httplib::Server::HandlerResponse::Unhandled
                                     : httplib::Server::HandlerResponse::Handled;
  });
  server_->set_error_handler([](const auto& request, auto& response) {
    if (!response.body.empty()) return;
    SendError(response, response.status,
              response.status == 404
                  ? fmt::format("{}: found no such page, expected / or one it names", request.path)
                  : "the request was not understood");
  });
  server_->set_exception_handler([](const auto&, auto& response, const auto& error) {
    SendError(response, 500, TextOf(error));
  });
  Bind();
}

void WebServer::Bind() {
  errno = 0;
  port_ = options_.port;
  const bool bound = port_ != 0 ? server_->bind_to_port(options_.host, port_)
                                : (port_ = server_->bind_to_any_port(options_.host)) > 0;
  if (bound) return;
  const int reason = errno;
  const std::string where = fmt::format("{}:{}", InUrl(options_.host), options_.port);
  if (reason == EADDRINUSE) {
    throw InputError(fmt::format(
        "{}: this port is taken, expected a free one; without --port one is chosen", where));
  }
  throw InputError(fmt::format(
      "{}: cannot be bound{}, expected an address of this machine and a port that is allowed",
      where, reason == 0 ? "" : ": " + std::generic_category().message(reason)));
}

std::string WebServer::url() const {
  const std::string host = IsAnyAddress(options_.host)
                               ? InUrl(options_.host == "::" ? "::1" : "127.0.0.1")
                               : InUrl(options_.host);
  return fmt::format("http://{}:{}/{}", host, port_, has_token() ? "?token=" + token_ : "");
}

/// "127.0.0.1:8080" as the Host header says it.
bool WebServer::IsOwnName(std::string name) const {
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::string port = fmt::format(":{}", port_);
  if (name.ends_with(port)) {
    name.resize(name.size() - port.size());
  } else if (port_ != 80) {
    return false;
  }
  std::string host = InUrl(options_.host);
  std::ranges::transform(host, host.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == host || name == "localhost" || (IsAnyAddress(options_.host) && !name.empty());
}

bool WebServer::Admits(const httplib::Request& request, httplib::Response& response) const {
  if (!IsOwnName(request.get_header_value("Host"))) {
    SendError(response, 403,
              "this server answers only under the address that it printed: the request named "
              "another host");
    return false;
  }
  if (has_token() && !AreEqual(request.get_param_value("token"), token_)) {
    SendError(response, 403, "the address lacks its token: use the whole address that was printed");
    return false;
  }
  if (request.method == "GET" || request.method == "HEAD") return true;
  if (options_.takes_posts && request.method == "POST") return true;
  response.set_header("Allow", "GET, HEAD");
  response.set_header("Connection", "close");
  SendError(response, 405, "this server is only read from: expected GET or HEAD");
  return false;
}

void WebServer::Serve(const std::stop_token& stop) {
  // The library forgets a stop that comes before it listens.
  std::jthread stopper([this, &stop](const std::stop_token& over) {
    while (!stop.stop_requested() && !over.stop_requested()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    while (!server_->is_running() && !over.stop_requested()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    server_->stop();
  });
  if (!server_->listen_after_bind() && !stop.stop_requested()) {
    throw RunError(fmt::format("{}: the server ended by itself", url()));
  }
}

void Send(httplib::Response& response, const std::string& type,
          std::shared_ptr<const std::string> bytes) {
  // As content that is provided it is not compressed, which would take longer than to send it.
  const size_t size = bytes->size();
  response.set_content_provider(
      size, type, [bytes = std::move(bytes)](size_t offset, size_t length, auto& sink) {
        return sink.write(bytes->data() + offset, length);
      });
}

void Send(httplib::Response& response, const std::string& type, std::string bytes) {
  Send(response, type, std::make_shared<const std::string>(std::move(bytes)));
}

void SendError(httplib::Response& response, int status, const std::string& text) {
  response.status = status;
  const nlohmann::ordered_json json = {{"error", text}};
  response.set_content(json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace),
                       "application/json");
}

}  // namespace foreplan::apps
