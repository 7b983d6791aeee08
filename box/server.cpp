#include "box/server.hpp"

#include "libstargate/protocol/percent.hpp"
#include "web/header.hpp"
#include "web/status.hpp"

#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <stdexcept>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace stargate::box {

using web::header;

namespace {

constexpr std::size_t largest_frame = 1'048'576; // webSocketMaxTextFrameSize
constexpr std::size_t largest_body = 1'048'576;
constexpr micros longest_wait = 100 * millisecond;
constexpr std::size_t most_written_at_once = 64;

std::int64_t wall_clock() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
    .count();
}

/// One connection of a client: a WebSocket, or a request of the administration.
struct session final : peer {
  explicit session(lws* wsi_) : wsi{wsi_} {}

  void send(std::string frame) override {
    if (wsi == nullptr || closing)
      return;
    out.push_back(std::string(LWS_PRE, '\0') + frame);
    lws_callback_on_writable(wsi);
  }
  void close(int code, const std::string& reason) override {
    if (wsi == nullptr || std::exchange(closing, true))
      return;
    close_code = code;
    close_reason = reason.substr(0, 120); // a close frame has no more room
    lws_callback_on_writable(wsi);
  }

  lws* wsi; ///< Null when it is gone.
  std::shared_ptr<connection> behind;
  std::string in;
  bool too_large = false;
  std::deque<std::string> out;
  bool closing = false;
  int close_code = 0;
  std::string close_reason;
  // Of a request:
  std::string method, target, authorization;
  answer says;
  bool is_asked = false, is_answered = false;
};

/// The path and the query. libwebsockets has taken their encoding off, so that a slash within a part is one between
/// parts.
std::string target_of(lws* wsi, lws_token_indexes uri) {
  std::string target;
  const auto path = header(wsi, uri);
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    target += protocol::percent_encode(std::string_view{path}.substr(at, end - at));
    if (end < path.size())
      target += '/';
    at = end + 1;
  }
  char one[4096];
  for (int i = 0;; ++i) {
    const auto size = lws_hdr_copy_fragment(wsi, one, sizeof one, WSI_TOKEN_HTTP_URI_ARGS, i);
    if (size < 0)
      return target;
    const std::string_view pair{one, static_cast<std::size_t>(size)};
    const auto equals = std::min(pair.find('='), pair.size());
    target += (i == 0 ? "?" : "&") + protocol::percent_encode(pair.substr(0, equals));
    if (equals < pair.size())
      target += "=" + protocol::percent_encode(pair.substr(equals + 1));
  }
}

/// @throws std::runtime_error when a certificate and its key are not to be had from the files
void check_tls_files(const server::settings& s) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> probe{SSL_CTX_new(TLS_server_method()), &SSL_CTX_free};
  const auto fail = [](const std::string& what) {
    throw std::runtime_error{what + ": " + ERR_reason_error_string(ERR_peek_last_error())};
  };
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(probe.get(), s.certificate_file.c_str()) != 1)
    fail("cannot read a certificate from '" + s.certificate_file + "'");
  if (SSL_CTX_use_PrivateKey_file(probe.get(), s.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    fail("cannot read the key of that certificate from '" + s.key_file + "'");
}

/// Writes a whole answer; by ourselves, since libwebsockets writes that of a handshake as HTTP/1.0. False when the
/// connection is to be closed.
bool write_answer(lws* wsi, const answer& a, bool stays) {
  std::string text(LWS_PRE, '\0');
  text += "HTTP/1.1 " + std::to_string(a.status) + " "
          + (a.phrase.empty() ? std::string{web::phrase_of(a.status)} : a.phrase) + "\r\n";
  if (a.status != 204)
    text += "Content-Type: " + a.type + "\r\nContent-Length: " + std::to_string(a.body.size()) + "\r\n";
  text += std::string{stays ? "" : "Connection: close\r\n"} + "\r\n" + a.body;
  return lws_write(wsi, reinterpret_cast<unsigned char*>(text.data()) + LWS_PRE, text.size() - LWS_PRE,
                   LWS_WRITE_HTTP_HEADERS)
         >= 0;
}

} // namespace

struct server::implementation {
  explicit implementation(settings s);
  ~implementation() {
    ending = true;
    if (context != nullptr)
      lws_context_destroy(context);
  }

  static int on_event(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t size);
  lws_vhost* listen(const char* name, const settings& s, std::uint16_t port, bool with_tls);
  int handle(lws* wsi, lws_callback_reasons reason, void* in, std::size_t size);
  int upgrade(lws* wsi);
  int take_frame(lws* wsi, std::string_view piece);
  int write(lws* wsi);
  int begin_request(lws* wsi);
  int finish_request(lws* wsi, session& s);

  [[nodiscard]] micros now() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began).count();
  }
  /// Does what is due, and sees that it is called again for what is next.
  void pulse() {
    if (ending)
      return;
    model.advance(now());
    const auto wait = std::clamp<micros>(model.next_due() - now(), 1, longest_wait);
    lws_sul_schedule(context, 0, &timer.sul, &on_timer, wait);
  }
  static void on_timer(lws_sorted_usec_list_t* sul) { reinterpret_cast<due*>(sul)->of->pulse(); }

  struct due {
    lws_sorted_usec_list_t sul{};
    implementation* of = nullptr;
  };
  std::chrono::steady_clock::time_point began = std::chrono::steady_clock::now();
  broker model;
  lws_context* context = nullptr;
  lws_vhost* plain = nullptr;
  lws_vhost* tls = nullptr;
  due timer;
  std::unordered_map<lws*, std::shared_ptr<session>> sessions;
  counts seen;
  bool ending = false;
};

int server::implementation::on_event(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t size) {
  auto* self = wsi == nullptr ? nullptr : static_cast<implementation*>(lws_context_user(lws_get_context(wsi)));
  return self == nullptr ? 0 : self->handle(wsi, reason, in, size);
}

server::implementation::implementation(settings s) : model{wall_clock(), std::move(s.model)} {
  timer.of = this;
  lws_set_log_level(0, nullptr);
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
  info.user = this;
  info.fd_limit_per_thread = 16'384;
  info.max_http_header_data = 16'384;
  info.max_http_header_pool = 256;
  info.pt_serv_buf_size = 65'536;
  info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  if (s.tls_port)
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
  context = lws_create_context(&info);
  if (context == nullptr)
    throw std::runtime_error{"libwebsockets gave no context"};
  try {
    plain = listen("plain", s, s.port, false);
    if (s.tls_port)
      tls = listen("tls", s, *s.tls_port, true);
  } catch (...) {
    lws_context_destroy(std::exchange(context, nullptr));
    throw;
  }
}

lws_vhost* server::implementation::listen(const char* name, const settings& s, std::uint16_t port, bool with_tls) {
  static const lws_protocols protocols[] = {{"pulsar", &on_event, 0, 65'536, 0, nullptr, 0},
                                            {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
  lws_context_creation_info info{};
  info.port = port;
  info.iface = s.address.c_str();
  info.protocols = protocols;
  info.vhost_name = name;
  if (with_tls) {
    check_tls_files(s);
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.alpn = "http/1.1"; // or HTTP/2 is spoken with who offers it
    info.ssl_cert_filepath = s.certificate_file.c_str();
    info.ssl_private_key_filepath = s.key_file.c_str();
    info.ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1;
  }
  if (auto* made = lws_create_vhost(context, &info))
    return made;
  throw std::runtime_error{"cannot listen on " + s.address + ":" + std::to_string(port)
                           + (with_tls ? " with TLS; is the port taken? --tls-port names another"
                                       : "; is the port taken? --port names another")};
}

int server::implementation::handle(lws* wsi, lws_callback_reasons reason, void* in, std::size_t size) {
  const auto found = sessions.find(wsi);
  const auto it = found == sessions.end() ? nullptr : found->second;
  switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return upgrade(wsi);
    case LWS_CALLBACK_ESTABLISHED:
      ++seen.connections;
      lws_callback_on_writable(wsi);
      pulse();
      return 0;
    case LWS_CALLBACK_RECEIVE: return take_frame(wsi, {static_cast<const char*>(in), size});
    case LWS_CALLBACK_SERVER_WRITEABLE: return write(wsi);
    case LWS_CALLBACK_HTTP: return begin_request(wsi);
    case LWS_CALLBACK_HTTP_BODY:
      if (it && it->in.size() + size <= largest_body)
        it->in.append(static_cast<const char*>(in), size);
      return 0;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return it ? finish_request(wsi, *it) : -1;
    case LWS_CALLBACK_HTTP_WRITEABLE:
      if (it && std::exchange(it->is_answered, false))
        return write_answer(wsi, it->says, true) && lws_http_transaction_completed(wsi) == 0 ? 0 : -1;
      return 0;
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
      if (it) {
        it->wsi = nullptr;
        sessions.erase(found);
        it->behind.reset();
        pulse();
      }
      return 0;
    default: return 0;
  }
}

int server::implementation::upgrade(lws* wsi) {
  auto s = std::make_shared<session>(wsi);
  model.advance(now());
  answer refused;
  s->behind = model.open(target_of(wsi, WSI_TOKEN_GET_URI), s, refused, header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION));
  if (!s->behind)
    return write_answer(wsi, refused, false) ? 1 : -1;
  sessions[wsi] = std::move(s);
  return 0;
}

int server::implementation::take_frame(lws* wsi, std::string_view piece) {
  const auto found = sessions.find(wsi);
  if (found == sessions.end())
    return -1;
  const auto s = found->second;
  if (s->in.size() + piece.size() > largest_frame)
    s->too_large = true;
  else
    s->in += piece;
  if (lws_is_final_fragment(wsi) == 0 || lws_remaining_packet_payload(wsi) != 0)
    return 0;
  const auto frame = std::exchange(s->in, {});
  if (s->too_large) {
    s->close(1009, "Text message size exceeds maximum size [" + std::to_string(largest_frame) + "]");
    return 0;
  }
  if (lws_frame_is_binary(wsi) != 0 || !s->behind)
    return 0; // it gets no answer
  ++seen.frames_in;
  model.advance(now());
  s->behind->on_frame(frame);
  pulse();
  return 0;
}

int server::implementation::write(lws* wsi) {
  const auto found = sessions.find(wsi);
  if (found == sessions.end())
    return 0;
  const auto s = found->second;
  for (std::size_t n = 0; !s->out.empty() && n < most_written_at_once; ++n) {
    if (lws_send_pipe_choked(wsi) != 0)
      break;
    auto frame = std::move(s->out.front());
    s->out.pop_front();
    ++seen.frames_out;
    if (lws_write(wsi, reinterpret_cast<unsigned char*>(frame.data()) + LWS_PRE, frame.size() - LWS_PRE, LWS_WRITE_TEXT)
        < 0)
      return -1;
  }
  if (!s->out.empty()) {
    lws_callback_on_writable(wsi);
    return 0;
  }
  if (!s->closing)
    return 0;
  s->behind.reset();
  if (s->close_code != 0)
    lws_close_reason(wsi, static_cast<lws_close_status>(s->close_code),
                     reinterpret_cast<unsigned char*>(s->close_reason.data()), s->close_reason.size());
  return -1;
}

int server::implementation::begin_request(lws* wsi) {
  constexpr std::pair<lws_token_indexes, const char*> methods[] = {{WSI_TOKEN_GET_URI, "GET"},
                                                                   {WSI_TOKEN_POST_URI, "POST"},
                                                                   {WSI_TOKEN_PUT_URI, "PUT"},
                                                                   {WSI_TOKEN_DELETE_URI, "DELETE"}};
  auto s = std::make_shared<session>(wsi);
  for (const auto& [token, name] : methods)
    if (lws_hdr_total_length(wsi, token) > 0) {
      s->method = name;
      s->target = target_of(wsi, token);
    }
  s->authorization = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION);
  sessions[wsi] = s;
  const auto length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH);
  const bool has_body = !length.empty() && length != "0";
  return has_body && s->method != "GET" ? 0 : finish_request(wsi, *s);
}

int server::implementation::finish_request(lws* wsi, session& s) {
  if (std::exchange(s.is_asked, true)) // without a body, libwebsockets says twice that it is whole
    return 0;
  model.advance(now());
  s.says = model.request(s.method, s.target, std::exchange(s.in, {}), s.authorization);
  s.is_answered = true;
  lws_callback_on_writable(wsi);
  pulse();
  return 0;
}

server::server(settings s) : inside_{std::make_unique<implementation>(std::move(s))} {}

server::~server() = default;

std::uint16_t server::port() const {
  return static_cast<std::uint16_t>(lws_get_vhost_listen_port(inside_->plain));
}

std::optional<std::uint16_t> server::tls_port() const {
  return inside_->tls == nullptr ? std::nullopt
                                 : std::optional{static_cast<std::uint16_t>(lws_get_vhost_listen_port(inside_->tls))};
}

void server::run(const std::function<bool()>& done) {
  inside_->pulse();
  while (!done())
    if (lws_service(inside_->context, 0) < 0)
      return;
}

server::counts server::seen() const {
  return inside_->seen;
}

} // namespace stargate::box
