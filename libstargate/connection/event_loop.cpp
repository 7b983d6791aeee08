#include "libstargate/connection/event_loop.hpp"

#include "libstargate/connection/proxy.hpp"
#include "libstargate/connection/resolver.hpp"
#include "libstargate/connection/session.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <csignal>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <unordered_map>

namespace stargate::connection {

namespace {

constexpr std::size_t receive_buffer = 64u << 10;
constexpr std::size_t most_headers = 32u << 10;   // of a handshake, with what libwebsockets adds: `most_request` fits
constexpr rlim_t most_descriptors = 1u << 20;     // libwebsockets takes 17 bytes for each that may be, used or not
constexpr unsigned fewer_descriptors = 64u << 10; // when even more may be
constexpr auto stop_timeout = std::chrono::seconds{1};
constexpr auto gathering_time = std::chrono::microseconds{200};
constexpr auto gathering_time_of_a_session = std::chrono::nanoseconds{500}; // libwebsockets looks at each when it wakes
constexpr std::size_t worth_gathering = 32u << 10; // more than that is worth a wake-up of its own
constexpr auto stream_pause = std::chrono::microseconds{400};
constexpr unsigned never = 86'400; // seconds; libwebsockets' own limits, in favour of `endpoint::connect_timeout`

int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size);

const lws_protocols protocols[] = {
  {"stargate", on_event, 0, receive_buffer, 0, nullptr, 0},
  {nullptr, nullptr, 0, 0, 0, nullptr, 0},
};

lws_context_creation_info no_listener() {
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = protocols;
  info.gid = -1;
  info.uid = -1;
  return info;
}

/// Makes a context, and leaves the process's signals as they are: libwebsockets ignores SIGPIPE for all of it.
lws_context* make_context(const lws_context_creation_info& info) {
  struct sigaction before {};
  ::sigaction(SIGPIPE, nullptr, &before);
  auto* context = lws_create_context(&info);
  ::sigaction(SIGPIPE, &before, nullptr);
  return context;
}

/// For the loop's own thread, where a broken connection is an error of a write and nothing else.
void block_sigpipe() {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

/// What a peer says in a close frame.
ended peer_closed(const void* in, std::size_t size) {
  const auto* bytes = static_cast<const unsigned char*>(in);
  return {end::peer_closed, size >= 2 ? bytes[0] << 8 | bytes[1] : 0,
          size > 2 ? std::string{reinterpret_cast<const char*>(bytes) + 2, size - 2} : std::string{}};
}

#if LWS_LIBRARY_VERSION_NUMBER >= 4004000
/// From 4.4 on, libwebsockets hands on the payload of control frames as if it were data: a close code and a reason. No
/// text of JSON begins with the first byte of such a code.
bool looks_like_a_close(const void* in, std::size_t size) {
  constexpr std::size_t longest_control_frame = 125;
  constexpr int first_code = 1000, last_code = 4999;
  const auto code = size >= 2 ? peer_closed(in, 2).status : 0;
  return size <= longest_control_frame && code >= first_code && code <= last_code;
}
#endif

// What libwebsockets has one of for the whole process.
// - It logs to standard error unless it is told not to.
// - It numbers its data in OpenSSL's objects anew with each context that asks for TLS, and then no longer finds what
//   other contexts put there: their handshakes fail and their memory is lost. So one context asks. It
//   stays for as long as the process, since from 4.5.3 on, its end is that of OpenSSL.
void set_up_libwebsockets() {
  static std::once_flag once;
  std::call_once(once, [] {
    lws_set_log_level(0, nullptr);
    auto info = no_listener();
    info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    static const lws_context* const stays = make_context(info);
    static_cast<void>(stays);
  });
}

} // namespace

struct event_loop::parts {
  std::optional<connection::tls> tls; ///< Empty when the loop speaks none. It outlives the context.
  lws_context* context = nullptr;
  lws_vhost* direct = nullptr;  ///< libwebsockets' home of connections that go straight to their server,
  lws_vhost* proxied = nullptr; ///< and of those that go through a proxy.
  proxy_variables proxies;
  std::thread thread;
  std::once_flag stop_once;

  std::mutex mutex;
  std::vector<std::function<void()>> commands; // guarded by mutex
  bool stopped = false;                        // guarded by mutex: no command is taken any more

  // The loop's thread only:
  std::unordered_map<session*, std::shared_ptr<session>> sessions;
  std::vector<session*> with_frames;
  std::map<std::pair<std::int64_t, std::int64_t>, lws_retry_bo_t> liveness; // by ping interval and pong timeout
  lws_sorted_usec_list_t tick{};
  std::size_t handshaking = 0;     ///< How many sessions are not open yet.
  unsigned char* buffer = nullptr; ///< libwebsockets' own: it reads into it for all connections.
  bool buffer_is_clear = false;
  bool stopping = false;
  std::chrono::steady_clock::time_point stop_by;
  std::chrono::steady_clock::time_point last_batch;
  std::size_t bytes_in_batch = 0;

  resolver names; // the last member, so the first to go: its thread posts commands

  /// Runs `command` on the loop's thread. One wake-up serves all commands that are there. @par Threads any thread
  void post(std::function<void()> command) {
    const std::lock_guard guard{mutex};
    if (stopped)
      return;
    commands.push_back(std::move(command));
    if (commands.size() == 1)
      lws_cancel_service(context);
  }

  void run() {
    std::vector<std::function<void()>> todo;
    while (!stopping || (!sessions.empty() && std::chrono::steady_clock::now() < stop_by)) {
      // The loop sleeps until something happens; while it stops it looks at the clock, too.
      if (stopping)
        lws_sul_schedule(
          context, 0, &tick, [](lws_sorted_usec_list_t*) {}, 20 * LWS_US_PER_MS);
      clear_buffer();
      lws_service(context, 0);
      gather();
      {
        const std::lock_guard guard{mutex};
        todo.swap(commands);
      }
      for (auto& command : todo)
        command();
      todo.clear();
      for (auto* s : std::exchange(with_frames, {}))
        s->flush();
    }
    lws_sul_cancel(&tick);
    {
      const std::lock_guard guard{mutex};
      stopped = true;
      todo.swap(commands);
    }
    while (!sessions.empty())
      finish(sessions.begin()->first, {end::closed, 0, "the event loop stopped"});
    lws_context_destroy(context);
  }

  /// While messages stream, the loop looks again after a moment, and hands on what came in one batch: every batch wakes
  /// an actor, which costs more than the message. Who has nothing else under way is not kept waiting: the first batch
  /// after a pause goes on at once.
  void gather() {
    if (with_frames.empty() || stopping)
      return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_batch < stream_pause && bytes_in_batch < worth_gathering) {
      std::this_thread::sleep_for(std::max<std::chrono::nanoseconds>(
        gathering_time, gathering_time_of_a_session * static_cast<std::int64_t>(sessions.size())));
      clear_buffer();
      lws_service(context, -1); // what is there, without waiting
    }
    last_batch = std::chrono::steady_clock::now();
    bytes_in_batch = 0;
  }

  // -- the life of a session

  void begin(const std::shared_ptr<session>& s) {
    if (stopping || s->is_closing()) {
      s->end({end::closed, 0, {}});
      return;
    }
    sessions.emplace(s.get(), s);
    ++handshaking;
    s->deadline().owner = s.get();
    s->deadline().loop = this;
    lws_sul_schedule(
      context, 0, &s->deadline().entry,
      [](lws_sorted_usec_list_t* entry) {
        // The entry is the first member of the timer.
        auto* timer = reinterpret_cast<session::timer*>(entry);
        static_cast<parts*>(timer->loop)->give_up(timer->owner);
      },
      std::chrono::duration_cast<std::chrono::microseconds>(s->to().connect_timeout).count());
    const auto choice = choose_proxy(proxies, tls.has_value(), s->to().host);
    if (!choice.wrong.empty())
      return finish(s.get(), {end::unsendable, 0, choice.wrong});
    s->set_proxy(choice.through);
    names.resolve(choice.through ? choice.through->host : s->to().host, [this, s](std::vector<std::string> addresses,
                                                                                  const std::string& failure) {
      post([this, s, addresses, failure] {
        if (s->has_ended())
          return;
        if (addresses.empty())
          return finish(s.get(), {end::unresolved, 0,
                                  s->through() ? "that of the proxy " + s->through()->host + ": " + failure : failure});
        s->set_addresses(addresses);
        connect(s.get(), "no connection could be begun");
      });
    });
  }

  void connect(session* s, const std::string& last_failure) {
    const auto ping = s->to().ping_interval;
    const auto hangup = ping + s->to().pong_timeout;
    auto& policy = liveness[{ping.count(), hangup.count()}];
    policy.secs_since_valid_ping = static_cast<std::uint16_t>(ping.count());
    policy.secs_since_valid_hangup = static_cast<std::uint16_t>(hangup.count());
    if (tls)
      try {
        tls->keep_up();
      } catch (const bad_tls_settings& e) {
        return finish(s, {end::untrusted, 0, e.what()});
      }
    const session::way how{context,         s->through() ? proxied : direct, &policy, protocols[0].name,
                           tls.has_value(), tls && tls->trusts_anything()};
    if (s->is_closing() || !s->connect_next(how))
      finish(s, {end::unreachable, 0, last_failure});
  }

  /// An attempt at one address failed: the next has its turn, outside of libwebsockets' own call.
  void failed(session* s, const std::string& why) {
    if (s->is_calling())
      return;
    s->detach();
    if (s->has_note() || !s->has_addresses() || s->is_closing())
      return finish(s, {end::unreachable, 0, why});
    post([this, owner = sessions.at(s), why] {
      if (!owner->has_ended())
        connect(owner.get(), why);
    });
  }

  void give_up(session* s) {
    end_at_once(s,
                {end::unreachable, 0, "no answer within " + std::to_string(s->to().connect_timeout.count()) + " ms"});
  }

  /// Ends a session from within any of libwebsockets' calls. Its own way, a reason and -1 as the answer, is not for
  /// those that bring data: it then goes on to read, to say goodbye, and writes behind the end of its buffer.
  void end_at_once(session* s, ended why) {
    if (auto* wsi = s->handle())
      lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    finish(s, std::move(why));
  }

  void close(session* s) {
    if (s->has_ended())
      return;
    s->begin_close();
    if (s->handle() == nullptr)
      finish(s, {end::closed, 0, {}});
  }

  /// The one place where a session ends.
  void finish(session* s, ended why) {
    const auto found = sessions.find(s);
    if (found == sessions.end())
      return s->end(std::move(why));
    const auto owner = std::move(found->second);
    sessions.erase(found);
    handshaking -= s->was_opened() ? 0 : 1;
    std::erase(with_frames, s);
    lws_sul_cancel(&s->deadline().entry);
    s->detach();
    s->end(std::move(why));
  }

  // -- trust

  /// OpenSSL has looked at one certificate of the chain, and at the host's name; what it found is noted for the error.
  bool trusts(session* s, X509_STORE_CTX* chain, bool fine) const {
    if (tls->trusts_anything()) {
      X509_STORE_CTX_set_error(chain, X509_V_OK);
      return true;
    }
    // libwebsockets takes an IPv6 address for a name that ends at its first colon, so that one is compared here.
    if (fine && X509_STORE_CTX_get_error_depth(chain) == 0 && s->has_ipv6_host()
        && X509_check_ip_asc(X509_STORE_CTX_get_current_cert(chain), s->to().host.c_str(), 0) != 1) {
      X509_STORE_CTX_set_error(chain, X509_V_ERR_IP_ADDRESS_MISMATCH);
      fine = false;
    }
    if (!fine)
      s->note(
        {end::untrusted, 0,
         std::string{"its certificate is refused: "} + X509_verify_cert_error_string(X509_STORE_CTX_get_error(chain))});
    return fine;
  }

  void note_of(int descriptor, const ended& why) {
    for (const auto& [s, owner] : sessions)
      if (s->handle() != nullptr && lws_get_socket_fd(s->handle()) == descriptor)
        return s->note(why);
  }

  /// The peer ends TLS and says why: with TLS 1.3 that may be after the handshake.
  void on_alert(int descriptor, int alert) {
    note_of(descriptor, {end::untrusted, 0,
                         std::string{"it ends TLS: "}
                           + ((alert & 0xff) == TLS13_AD_CERTIFICATE_REQUIRED ? "a certificate of this side is required"
                                                                              : SSL_alert_desc_string_long(alert))});
  }

  /// A record of TLS begins, or what stands in its place.
  void on_record(int descriptor, std::string_view header) {
    if (header.starts_with("HTTP"))
      note_of(descriptor, {end::unreachable, 0,
                           "it answers without TLS: use ws:// and not wss://, or the port where it speaks TLS"});
  }

  /// Where an answer points that says to go elsewhere. It is not followed: the token is for whom the user named.
  static std::string redirection(lws* wsi, int status) {
    std::array<char, 512> location{};
    if (status < 300 || status > 399
        || lws_hdr_copy(wsi, location.data(), static_cast<int>(location.size()), WSI_TOKEN_HTTP_LOCATION) <= 0)
      return {};
    return "it points to " + std::string{location.data()} + ", which is not followed";
  }

  // libwebsockets keeps the body of a refusal to itself, but in the call in which it tells of it, the buffer into which
  // it reads for all connections still holds what it has read last. That is looked at only when nothing else was read
  // since the buffer was cleared, so that an answer that is still to come is not made up of what others were sent.

  void clear_buffer() {
    if (handshaking == 0 || buffer == nullptr || buffer_is_clear)
      return;
    std::fill_n(buffer, receive_buffer, static_cast<unsigned char>(0));
    buffer_is_clear = true;
  }

  std::string answer_that_refuses(const session* s, int status) {
    if (!std::exchange(buffer_is_clear, false))
      return {};
    std::string answer{reinterpret_cast<const char*>(buffer) + LWS_PRE, receive_buffer - LWS_PRE};
    if (!answer.starts_with("HTTP/1.1 " + std::to_string(status)))
      return {};
    answer.resize(std::min(answer.size(), answer.find('\0')));
    s->hide_secrets(answer);
    return answer;
  }

  // -- libwebsockets' events

  int handle(lws* wsi, session* s, lws_callback_reasons reason, void* in, std::size_t size) {
    switch (reason) {
      case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        auto** at = static_cast<unsigned char**>(in);
        auto* const last = *at + size;
        buffer_is_clear = false;
        if (!s->write_path(*at, size, receive_buffer)) {
          s->note({end::unsendable, 0, "the path of the handshake does not fit"});
          return -1;
        }
        buffer = s->buffer();
        for (const auto& [name, value] : s->to().headers)
          if (lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>(name.c_str()),
                                          reinterpret_cast<const unsigned char*>(value.data()),
                                          static_cast<int>(value.size()), at, last)
              != 0) {
            s->note({end::unsendable, 0, "the headers of the handshake are too large"});
            return -1;
          }
        return 0;
      }
      case LWS_CALLBACK_CLIENT_ESTABLISHED:
        lws_sul_cancel(&s->deadline().entry);
        buffer_is_clear = false;
        --handshaking;
        s->open(wsi);
        return 0;
      case LWS_CALLBACK_CLIENT_RECEIVE: {
        bytes_in_batch += size;
        buffer_is_clear = false;
        const bool had_frames = s->has_frames();
#if LWS_LIBRARY_VERSION_NUMBER >= 4004000
        if (s->is_between_frames() && looks_like_a_close(in, size)) {
          s->note(peer_closed(in, size));
          end_at_once(s, {end::peer_closed, 0, {}});
          return 0;
        }
#endif
        if (!s->receive(wsi, static_cast<const char*>(in), size)) {
          end_at_once(s, {end::too_large, 0,
                          "a frame of more than " + std::to_string(s->to().max_frame)
                            + " bytes came, and nothing in it says which message it is"});
          return 0;
        }
        if (!had_frames && s->has_frames())
          with_frames.push_back(s);
        return 0;
      }
      case LWS_CALLBACK_CLIENT_WRITEABLE: return s->write();
      case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
        s->note(peer_closed(in, size));
        return 0;
      }
      case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: {
        const int status = static_cast<int>(lws_http_client_http_response(wsi));
        const std::string text = in != nullptr ? std::string{static_cast<const char*>(in), size} : "no connection";
        if (status > 0 && status != 101)
          s->note({end::refused, status, redirection(wsi, status), answer_that_refuses(s, status)});
        failed(s, text);
        return 0;
      }
      case LWS_CALLBACK_CLIENT_CLOSED:
        finish(s, {end::lost, 0, "the connection broke, or a ping went unanswered"});
        return 0;
      case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
      case LWS_CALLBACK_WSI_DESTROY:
        if (s->was_opened())
          finish(s, {end::lost, 0, "the connection broke"});
        else
          failed(s, "the connection ended before the handshake was done");
        return 0;
      default: return 0;
    }
  }
};

namespace {

int on_event(lws* wsi, lws_callback_reasons reason, void* user, void* in, std::size_t size) {
  auto* s = static_cast<session*>(lws_get_opaque_user_data(wsi));
  auto* loop = static_cast<event_loop::parts*>(lws_context_user(lws_get_context(wsi)));
  if (reason == LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION)
    return s != nullptr && loop->trusts(s, static_cast<X509_STORE_CTX*>(user), size != 0) ? 0 : 1;
  return s == nullptr ? 0 : loop->handle(wsi, s, reason, in, size);
}

} // namespace

event_loop::event_loop() : parts_{std::make_unique<parts>()} {}

std::shared_ptr<event_loop> event_loop::start(const std::optional<tls_settings>& tls) {
  set_up_libwebsockets();
  std::shared_ptr<event_loop> loop{new event_loop};
  auto& p = *loop->parts_;
  auto info = no_listener();
  info.pt_serv_buf_size = receive_buffer;
  info.timeout_secs = never;
  info.connect_timeout_secs = never;
  info.user = &p;
  info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
  info.max_http_header_data = most_headers;
  if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > most_descriptors)
    info.fd_limit_per_thread = fewer_descriptors;
  p.context = make_context(info);
  if (p.context == nullptr)
    throw std::runtime_error{"libwebsockets could not set up its context"};
  if (tls) {
    p.tls.emplace(*tls);
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.provided_client_ssl_ctx = p.tls->context();
    auto* const context = p.tls->context();
    SSL_CTX_set_app_data(context, &p);
    SSL_CTX_set_info_callback(context, [](const SSL* ssl, int where, int what) {
      if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (what >> 8) == SSL3_AL_FATAL)
        static_cast<parts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))->on_alert(SSL_get_fd(ssl), what);
      if ((where & SSL_CB_HANDSHAKE_DONE) != 0) // what follows is the data's
        SSL_set_msg_callback(const_cast<SSL*>(ssl), nullptr);
    });
    SSL_CTX_set_msg_callback(context, [](int written, int, int type, const void* data, size_t size, SSL* ssl, void*) {
      if (written == 0 && type == SSL3_RT_HEADER)
        static_cast<parts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))
          ->on_record(SSL_get_fd(ssl), {static_cast<const char*>(data), size});
    });
  }
  info.http_proxy_address = ""; // not the one that libwebsockets reads from the environment itself
  p.proxies = proxies_of_environment();
  p.direct = lws_create_vhost(p.context, &info);
  info.vhost_name = "proxied";
  p.proxied = lws_create_vhost(p.context, &info);
  if (p.direct == nullptr || p.proxied == nullptr)
    throw std::runtime_error{"libwebsockets could not set up its host"};
  p.thread = std::thread{[&p] {
    block_sigpipe();
    p.run();
  }};
  return loop;
}

event_loop::~event_loop() {
  stop();
}

void event_loop::stop() {
  auto& p = *parts_;
  std::call_once(p.stop_once, [&p] {
    if (!p.thread.joinable()) { // it did not start
      if (p.context != nullptr)
        lws_context_destroy(p.context);
      return;
    }
    p.post([&p] {
      p.stopping = true;
      p.stop_by = std::chrono::steady_clock::now() + stop_timeout;
      std::vector<session*> open;
      for (const auto& [s, owner] : p.sessions)
        open.push_back(s);
      for (auto* s : open)
        p.close(s);
    });
    p.thread.join();
  });
}

namespace {

class session_link final : public link {
public:
  session_link(std::shared_ptr<event_loop> loop, event_loop::parts& parts, std::shared_ptr<session> session)
    : loop_{std::move(loop)},
      parts_{parts},
      session_{std::move(session)} {}
  ~session_link() override { session_link::close(); }

  void send(std::vector<frame> frames) override {
    parts_.post([s = session_, frames = std::move(frames)]() mutable { s->send(std::move(frames)); });
  }
  void close() override {
    parts_.post([&p = parts_, s = session_] { p.close(s.get()); });
  }

private:
  const std::shared_ptr<event_loop> loop_; // keeps the parts
  event_loop::parts& parts_;
  const std::shared_ptr<session> session_;
};

} // namespace

std::unique_ptr<link> event_loop::connect(endpoint to, std::unique_ptr<observer> observer) {
  auto s = std::make_shared<session>(std::move(to), std::move(observer));
  auto result = std::make_unique<session_link>(shared_from_this(), *parts_, s);
  parts_->post([p = parts_.get(), s] { p->begin(s); });
  return result;
}

} // namespace stargate::connection
