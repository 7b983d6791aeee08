#include "web/http_server.hpp"

#include "web/header.hpp"
#include "web/status.hpp"
#include <libwebsockets.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stargate::web {

namespace {

constexpr std::size_t largest_body = 16u << 10;
constexpr std::size_t written_at_once = 64u << 10;
constexpr std::size_t most_unread = 1u << 20; // of who streams
constexpr std::size_t most_streams = 64;

struct exchange {
  explicit exchange(lws* wsi_) : wsi{wsi_} {}
  lws* wsi; ///< Null when it is gone.
  request asked;
  bool too_large = false, is_asked = false;
  std::string out; ///< What is to be written, from `written` on.
  std::size_t written = 0;
  bool is_answered = false, streams = false;
};
using exchange_ptr = std::shared_ptr<exchange>;

std::string own_header(lws* wsi, std::string_view name) {
  const auto size = lws_hdr_custom_length(wsi, name.data(), static_cast<int>(name.size()));
  if (size <= 0)
    return {};
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  const auto copied =
    lws_hdr_custom_copy(wsi, text.data(), static_cast<int>(text.size()), name.data(), static_cast<int>(name.size()));
  text.resize(copied < 0 ? 0 : static_cast<std::size_t>(copied));
  return text;
}

/// The page runs only what is in it, asks only whence it came, and is in nobody's frame.
constexpr std::string_view safety =
  "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nX-Frame-Options: "
  "DENY\r\n"
  "Content-Security-Policy: default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n";

std::string text_of(const response& r) {
  auto text = "HTTP/1.1 " + std::to_string(r.status) + " " + std::string{phrase_of(r.status)}
              + "\r\nContent-Type: " + r.type + "\r\n" + std::string{safety};
  if (r.status == 401)
    text += "WWW-Authenticate: Bearer\r\n";
  if (!r.streams)
    text += "Content-Length: " + std::to_string(r.body.size()) + "\r\n";
  return text + (r.streams ? "Connection: close\r\n\r\n" : "\r\n") + r.body;
}

} // namespace

struct http_server::inside {
  std::function<response(const request&)> answer;
  lws_context* context = nullptr;
  lws_vhost* vhost = nullptr;
  std::thread serving, answering;
  std::atomic<bool> ending{false};
  std::atomic<std::size_t> streaming{0};
  // The serving thread only:
  std::unordered_map<lws*, exchange_ptr> exchanges;

  std::mutex mutex;
  std::condition_variable asked;
  std::deque<exchange_ptr> questions;                       // guarded by mutex
  std::vector<std::pair<exchange_ptr, response>> responses; // guarded by mutex
  std::vector<std::string> news;                            // guarded by mutex
  bool over = false;                                        // guarded by mutex

  void wake() { lws_cancel_service(context); }

  static int on_event(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t size) {
    auto* const self = wsi == nullptr ? nullptr : static_cast<inside*>(lws_context_user(lws_get_context(wsi)));
    return self == nullptr ? 0 : self->handle(wsi, reason, in, size);
  }

  int handle(lws* wsi, lws_callback_reasons reason, void* in, std::size_t size) {
    if (reason == LWS_CALLBACK_EVENT_WAIT_CANCELLED) {
      take_news();
      return 0;
    }
    if (reason == LWS_CALLBACK_HTTP)
      return begin(wsi);
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE)
      return -1; // there is nothing to upgrade to
    const auto found = exchanges.find(wsi);
    if (found == exchanges.end())
      return 0;
    const auto it = found->second;
    switch (reason) {
      case LWS_CALLBACK_HTTP_BODY:
        it->too_large = it->too_large || it->asked.body.size() + size > largest_body;
        if (!it->too_large)
          it->asked.body.append(static_cast<const char*>(in), size);
        return 0;
      case LWS_CALLBACK_HTTP_BODY_COMPLETION: ask(it); return 0;
      case LWS_CALLBACK_HTTP_WRITEABLE: return write(*it);
      case LWS_CALLBACK_CLOSED_HTTP:
      case LWS_CALLBACK_WSI_DESTROY:
        it->wsi = nullptr;
        streaming -= it->streams ? 1 : 0;
        exchanges.erase(found);
        return 0;
      default: return 0;
    }
  }

  int begin(lws* wsi) {
    const auto it = std::make_shared<exchange>(wsi);
    exchanges[wsi] = it;
    auto& r = it->asked;
    for (const auto& [token, name] : {std::pair{WSI_TOKEN_GET_URI, "GET"}, std::pair{WSI_TOKEN_POST_URI, "POST"}})
      if (lws_hdr_total_length(wsi, token) > 0) {
        r.method = name;
        r.path = header(wsi, token);
      }
    r.host = header(wsi, WSI_TOKEN_HOST);
    r.intent = own_header(wsi, "x-stargate-intent:");
    if (const auto said = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION); said.starts_with("Bearer "))
      r.token = said.substr(7);
    const auto length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
    if (r.method != "POST" || length.empty() || length == "0")
      ask(it);
    return 0;
  }

  void ask(const exchange_ptr& it) {
    if (std::exchange(it->is_asked, true))
      return;
    if (it->too_large)
      return give(*it, {413, "text/plain; charset=utf-8", "what was sent is too large\n"});
    if (it->asked.method.empty())
      return give(*it, {405, "text/plain; charset=utf-8", "GET or POST\n"});
    {
      const std::lock_guard guard{mutex};
      questions.push_back(it);
    }
    asked.notify_one();
  }

  void give(exchange& it, response r) {
    if (it.wsi == nullptr)
      return;
    if (r.streams && streaming >= most_streams)
      r = {503, "text/plain; charset=utf-8", "too many are watching already\n"};
    it.out = text_of(r);
    it.is_answered = true;
    it.streams = r.streams;
    streaming += r.streams ? 1 : 0;
    if (r.streams)
      lws_set_timeout(it.wsi, NO_PENDING_TIMEOUT, 0);
    lws_callback_on_writable(it.wsi);
  }

  void take_news() {
    std::vector<std::pair<exchange_ptr, response>> given;
    std::vector<std::string> told;
    {
      const std::lock_guard guard{mutex};
      given.swap(responses);
      told.swap(news);
    }
    for (auto& [it, r] : given)
      give(*it, std::move(r));
    if (told.empty())
      return;
    for (const auto& [wsi, it] : exchanges) {
      if (!it->streams)
        continue;
      if (it->out.size() - it->written > most_unread)
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
      for (const auto& text : told)
        it->out += text;
      lws_callback_on_writable(wsi);
    }
  }

  /// A piece of what is to be written; a negative number ends the connection.
  int write(exchange& it) {
    if (!it.is_answered)
      return 0;
    const auto size = std::min(it.out.size() - it.written, written_at_once);
    if (size > 0) {
      std::vector<unsigned char> piece(LWS_PRE + size);
      std::copy_n(it.out.begin() + static_cast<std::ptrdiff_t>(it.written), size, piece.begin() + LWS_PRE);
      // As a header, because libwebsockets would frame or count a body, which this one has done itself.
      if (lws_write(it.wsi, piece.data() + LWS_PRE, size, LWS_WRITE_HTTP_HEADERS) < 0)
        return -1;
      it.written += size;
    }
    if (it.written < it.out.size()) {
      lws_callback_on_writable(it.wsi);
      return 0;
    }
    it.out.clear();
    it.written = 0;
    if (it.streams)
      return 0;
    auto* const wsi = it.wsi;
    exchanges.erase(wsi);
    return lws_http_transaction_completed(wsi) == 0 ? 0 : -1;
  }

  void answer_all() {
    std::unique_lock lock{mutex};
    for (;;) {
      asked.wait(lock, [this] { return over || !questions.empty(); });
      if (over)
        return;
      const auto it = std::move(questions.front());
      questions.pop_front();
      lock.unlock();
      response r;
      try {
        r = answer(it->asked);
      } catch (const std::exception& e) {
        r = {500, "text/plain; charset=utf-8", std::string{e.what()} + "\n"};
      }
      lock.lock();
      responses.emplace_back(it, std::move(r));
      wake();
    }
  }

  void serve() {
    while (!ending && lws_service(context, 0) >= 0) {
    }
  }

  ~inside() {
    {
      const std::lock_guard guard{mutex};
      over = true;
    }
    asked.notify_all();
    if (answering.joinable())
      answering.join();
    ending = true;
    if (context != nullptr)
      wake();
    if (serving.joinable())
      serving.join();
    if (context != nullptr)
      lws_context_destroy(context);
  }
};

http_server::http_server(std::string address, std::uint16_t port, std::function<response(const request&)> answer)
  : inside_{std::make_unique<inside>()} {
  auto& in = *inside_;
  in.answer = std::move(answer);
  static const lws_protocols protocols[] = {{"http", &inside::on_event, 0, 0, 0, nullptr, 0},
                                            {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
  lws_set_log_level(0, nullptr);
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
  info.user = &in;
  info.max_http_header_data = 8'192;
  info.max_http_header_pool = 64;
  info.fd_limit_per_thread = 256;
  info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  in.context = lws_create_context(&info);
  if (in.context == nullptr)
    throw std::runtime_error{"libwebsockets gave no context"};
  lws_context_creation_info where{};
  where.port = port;
  where.iface = address.c_str();
  where.protocols = protocols;
  where.vhost_name = "monitor";
  in.vhost = lws_create_vhost(in.context, &where);
  if (in.vhost == nullptr)
    throw std::runtime_error{"cannot listen on " + address + ":" + std::to_string(port)
                             + "; is the port taken, or the address not this machine's?"};
  in.serving = std::thread{[&in] { in.serve(); }};
  in.answering = std::thread{[&in] { in.answer_all(); }};
}

http_server::~http_server() = default;

std::uint16_t http_server::port() const {
  return static_cast<std::uint16_t>(lws_get_vhost_listen_port(inside_->vhost));
}

void http_server::broadcast(std::string_view text) {
  if (inside_->streaming == 0)
    return;
  const std::lock_guard guard{inside_->mutex};
  inside_->news.emplace_back(text);
  inside_->wake();
}

std::size_t http_server::listeners() const {
  return inside_->streaming;
}

} // namespace stargate::web
