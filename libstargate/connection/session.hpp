/// @file
/// One WebSocket connection as the event loop's thread sees it: what is to be sent, what has come, and how it ends.
#pragma once

#include "libstargate/connection/proxy.hpp"
#include "libstargate/connection/transport.hpp"

#include <libwebsockets.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace stargate::connection {

/// @par Threads the event loop's thread only
class session {
public:
  /// libwebsockets' timer for the time to connect; it finds its way back to the session and its loop.
  struct timer {
    lws_sorted_usec_list_t entry{};
    session* owner = nullptr;
    void* loop = nullptr;
  };

  session(endpoint to, std::unique_ptr<observer> who);

  [[nodiscard]] const endpoint& to() const { return to_; }
  [[nodiscard]] timer& deadline() { return deadline_; }

  // -- connecting

  void set_addresses(std::vector<std::string> addresses);
  /// The addresses are then those of the proxy.
  void set_proxy(std::optional<proxy> through) { through_ = std::move(through); }
  [[nodiscard]] const std::optional<proxy>& through() const { return through_; }
  /// What libwebsockets needs to know to connect.
  struct way {
    lws_context* context;
    lws_vhost* vhost;
    const lws_retry_bo_t* liveness;
    const char* protocol;
    bool tls;
    bool trusts_anything;
  };
  /// Begins to connect to the next address, which is that of the proxy where there is one. False when there is none
  /// left, or the peer has refused.
  [[nodiscard]] bool connect_next(const way& how);
  [[nodiscard]] bool has_ipv6_host() const { return to_.host.find(':') != std::string::npos; }
  [[nodiscard]] bool has_addresses() const { return !addresses_.empty(); }
  /// Whether libwebsockets is inside the call that connects; what fails then, `connect_next` sees itself.
  [[nodiscard]] bool is_calling() const { return phase_ == phase::calling; }
  /// Puts the path into libwebsockets' request. @param end where the request ends so far; it moves
  /// @param room how much more may be written there. False when that does not go.
  [[nodiscard]] bool write_path(unsigned char*& end, std::size_t room, std::size_t buffer_size);
  /// libwebsockets' own buffer, which lives as long as its context; null before the request was written.
  [[nodiscard]] unsigned char* buffer() const { return buffer_; }
  void open(lws* wsi);
  /// Whether the handshake was done, also while it ends.
  [[nodiscard]] bool was_opened() const {
    return phase_ == phase::open || phase_ == phase::closing || phase_ == phase::close_sent;
  }
  /// Forgets libwebsockets' handle, which from here on has no session.
  void detach();
  [[nodiscard]] lws* handle() const { return wsi_; }

  // -- receiving

  /// Takes a piece of a frame. False when the frame is larger than allowed, and nothing can take its place.
  [[nodiscard]] bool receive(lws* wsi, const char* piece, std::size_t size);
  [[nodiscard]] bool is_between_frames() const { return partial_.empty() && !stand_in_; }
  [[nodiscard]] bool has_frames() const { return !received_.empty(); }
  /// Hands what has come to the observer.
  void flush();

  // -- sending

  void send(std::vector<frame> frames);
  /// Writes what fits; gives what libwebsockets' callback has to return.
  [[nodiscard]] int write();

  // -- ending

  /// Asks for the end, after what is unsent; it comes by libwebsockets' callback if there is a handle.
  void begin_close();
  [[nodiscard]] bool is_closing() const {
    return phase_ == phase::giving_up || phase_ == phase::closing || phase_ == phase::close_sent;
  }
  /// Notes why the end will come, for the case that the event itself says less; the first note counts. What a peer
  /// said in it is made fit for a log: on one line, and without what only this side may know.
  void note(ended why);
  /// Blots out what of the handshake's headers a peer sends back, byte for byte.
  void hide_secrets(std::string& text) const;
  [[nodiscard]] bool has_note() const { return note_.has_value(); }
  /// Tells the observer, once.
  void end(ended why);
  [[nodiscard]] bool has_ended() const { return phase_ == phase::ended; }

private:
  enum class phase : std::uint8_t {
    waiting,    ///< For the addresses, or for the turn of the next one.
    calling,    ///< Inside the call in which libwebsockets begins to connect.
    connecting, ///< libwebsockets is at it, up to the end of the handshake.
    open,
    giving_up,  ///< This side asked for the end before it was open.
    closing,    ///< This side asked for the end, and what is unsent goes first.
    close_sent, ///< The close frame is libwebsockets' to send and to have answered.
    ended,      ///< The observer was told, and is gone.
  };
  enum class gathered : std::uint8_t { sent, impossible, broken };
  /// Writes many frames with one call.
  [[nodiscard]] gathered write_gathered();

  endpoint to_;
  std::unique_ptr<observer> observer_;
  timer deadline_;
  lws* wsi_ = nullptr; ///< Null while libwebsockets has nothing of this session.
  std::deque<std::string> addresses_;
  std::optional<proxy> through_;
  std::optional<ended> note_;
  std::string partial_;
  std::uint64_t thrown_away_ = 0;
  std::optional<std::string> stand_in_; ///< For the frame that comes, of which the rest is thrown away.
  std::vector<std::string> received_;
  std::deque<frame> unsent_;
  std::vector<unsigned char> scratch_;
  unsigned char* buffer_ = nullptr;
  phase phase_ = phase::waiting;
};

} // namespace stargate::connection
