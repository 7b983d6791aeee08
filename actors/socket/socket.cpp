// The socket of a producer, consumer or reader: it connects, reconnects, and gives each connection to its owner, who
// then sends and receives by it.
//
// accepts  link_up frames_in link_down from the transport; handshake progress reset_connection
//          refuse_connection drained from its owner; publish, for its owner; report_vitals from anybody; the down
//          message of its owner; exit messages
// sends    handshake_wanted link_up link_down frames_in drain to its owner; child_started to who started it; an exit
//          message to the pipeline's supervisor, when the broker's word leaves nothing to try
// dies of  an exit message, after it closed the connection; its owner's end, where the owner started it; a broker that
//          refuses it, after a few attempts
//
// A lost connection is weather: the socket connects again by itself. What looks like configuration (400, 401, 403, 404,
// a certificate that is not trusted) ends the actor, so that its supervisor's intensity applies; but what the broker
// took once it may take again, when a token or a certificate is renewed, so that is weather as well. What the broker
// says in words that it will not take ends the pipeline at once: it is no fault, so there is nothing to restart. So
// does a topic that was terminated, also under a producer that was connected.
#include "actors/socket/socket.hpp"

#include "actors/producer/messages.hpp"
#include "actors/shared/join.hpp"
#include "actors/shared/messages.hpp"
#include "actors/shared/to_actor.hpp"
#include "libstargate/protocol/backoff.hpp"
#include "libstargate/protocol/refusal.hpp"

#include <stargate/producer.hpp>
#include <stargate/vitals.hpp>

#include <memory>
#include <optional>

namespace stargate::internal {

namespace {

constexpr std::uint32_t refusals_to_give_up = 3;
constexpr std::chrono::milliseconds most_after_conflict{5'000};

/// @param word what the broker says to it, or nothing
errc code_for(int status, std::string_view word) {
  if (const auto code = protocol::permanent_code(word); code != errc::none)
    return code;
  switch (status) {
    case 400: return errc::bad_request;
    case 401: return errc::unauthorized;
    case 403: return errc::forbidden;
    case 404: return errc::not_found;
    case 409: return errc::conflict;
    default: return errc::broker_unavailable;
  }
}

std::string_view advice_for(errc code) {
  switch (code) {
    case errc::bad_request: return "the broker does not accept one of the parameters";
    case errc::topic_terminated: return "the topic was terminated";
    case errc::unauthorized: return "the broker wants a valid token";
    case errc::forbidden: return "the role may not do this on the topic";
    case errc::not_found: return "there is no such tenant, namespace, topic or endpoint; check the name and the port";
    case errc::conflict: return "another client holds the exclusive subscription or the producer's name";
    default: return "the broker cannot serve this now";
  }
}

struct socket_state {
  static inline const char* name = "stargate.socket";

  caf::event_based_actor* const self;
  const tree_context_ptr tree;
  const socket_config config;
  const caf::actor starter;
  const std::string key = config.keys->socket();
  const std::shared_ptr<pipeline_metrics> counts = tree->metrics.of(key);
  const caf::actor_id id = self->id();

  caf::actor owner;
  std::shared_ptr<connection::link> link;
  std::shared_ptr<bypass> past; ///< Of that connection: what comes by it need not come here.
  std::uint64_t number = 0;     ///< Of the connection, or of the attempt at one.
  bool connected = false;
  bool leaving = false;  ///< Asked to end; a producer first lets its acknowledger drain.
  bool closing = false;  ///< Waits for the end of the connection, and ends with it.
  bool given_up = false; ///< Waits to be ended with the pipeline.

  std::uint32_t attempt = 0;
  std::uint32_t refusals = 0;
  std::uint64_t generation = 0;
  std::size_t host = 0;
  std::chrono::steady_clock::time_point connected_at;

  caf::error last_refusal;

  socket_state(caf::event_based_actor* of, tree_context_ptr in, socket_config with, caf::actor who)
    : self{of},
      tree{std::move(in)},
      config{std::move(with)},
      starter{std::move(who)} {}
  socket_state(const socket_state&) = delete;
  socket_state& operator=(const socket_state&) = delete;
  ~socket_state() {
    tree->board.set(key, id, last_refusal ? socket_phase::refused : socket_phase::stopped, last_refusal);
  }

  [[nodiscard]] bool is_producer() const { return config.keys->role() == role::producer; }
  [[nodiscard]] const stargate::host& current_host() const {
    return tree->description.hosts[host % tree->description.hosts.size()];
  }
  [[nodiscard]] std::string place() const {
    return to_string(config.keys->topic()) + " at " + current_host().name + ":" + std::to_string(current_host().port);
  }
  auto now() { return self->clock().now(); }
  /// While it connects, it asks for a token, which may take time.
  [[nodiscard]] bool may_run_inline(inline_host) const { return connected && !closing; }

  // -- the owner

  void find_owner() {
    if (!is_producer())
      return adopt(starter);
    const auto registry = tree->registry().actor();
    request_for_ever(self, registry, await_name{config.keys->acknowledger(), tree->name_timeout()})
      .then([this](const found& f) { adopt(f.who); },
            [this](const caf::error& why) {
              if (is_receiver_down(why)) // the registry is being restarted
                return send_later(self, registry_interval, deferred{[this] { find_owner(); }});
              self->quit(make_error(exit_code::owner_down, "no acknowledger: " + describe(why)));
            });
  }

  void adopt(const caf::actor& who) {
    owner = who;
    monitor(self, owner);
    ask_for_handshake();
  }

  void on_owner_down() {
    owner = nullptr;
    // There is nothing to wait for any more, and who comes after the owner wants the name. The link closes by itself.
    if (leaving)
      return self->quit(make_error(exit_code::shutdown, "the owner has ended"));
    if (!is_producer())
      return self->quit(make_error(exit_code::owner_down, "the dispatcher has ended"));
    if (given_up)
      return;
    // Receipts that are still to come on this connection belong to a ledger that is gone.
    if (connected)
      counts->disconnects.add(errc::connection_lost);
    drop_link();
    tree->board.set(key, id, socket_phase::waiting,
                    make_error(errc::connection_lost, "the acknowledger was restarted"));
    find_owner();
  }

  // -- connecting

  void ask_for_handshake() {
    if (closing || given_up || !owner)
      return;
    number = tree->next_connection();
    tree->board.set(key, id, socket_phase::connecting);
    send(self, owner, handshake_wanted{number, caf::actor_cast<caf::actor>(self)});
  }

  void connect(handshake& m) {
    if (m.connection != number || closing || link)
      return;
    if (!m.path)
      return wait_and_connect(m.path.error());
    auto to = endpoint_to(tree->description, current_host(), *m.path);
    if (!to)
      return wait_and_connect(make_error(code_of(to.error()), place() + ": " + context_of(to.error())));
    to->memory = tree->frame_memory;
    to->answers_each = is_producer();
    past = std::make_shared<bypass>(owner.address());
    link = tree->transport->connect(std::move(*to), std::make_unique<to_actor>(self->address(), number, past));
  }

  void on_open(std::uint64_t connection) {
    if (connection != number)
      return;
    connected = true;
    connected_at = now();
    counts->connects.add();
    refusals = 0;
    last_refusal = {};
    if (!config.owner_says_ready) {
      tree->board.set(key, id, socket_phase::connected);
      tree->events.tell({.what = event::kind::connected, .key = key});
    }
    tree->say(log_level::info, key, "connected to " + place());
    send(self, owner, link_up{number, caf::actor_cast<caf::actor>(self), link});
    past->leave();
  }

  void on_end(const link_down& end) {
    if (end.connection != number)
      return;
    if (closing)
      return self->quit(make_error(exit_code::shutdown, "closed"));
    const bool was_connected = connected;
    drop_link();
    if (was_connected && now() - connected_at >= tree->description.backoff.stable)
      attempt = 0;
    const auto why = reason(end.why, was_connected);
    ++host;
    // Another host may take what this one refuses: only when all have refused is it refused for good.
    const bool accepted = tree->board.was_accepted(key);
    const auto code = code_of(why);
    if (class_of(code) == error_class::configuration && (!accepted || code == errc::topic_terminated)) {
      const auto hosts = tree->description.hosts.size();
      ++refusals;
      if (refusals >= hosts && is_said(end.why))
        return give_up(why);
      if (refusals >= hosts) {
        last_refusal = why;
        tree->board.set(key, id, socket_phase::refused, why);
        tree->events.tell({.what = event::kind::refused, .key = key, .why = why});
      }
      if (refusals >= refusals_to_give_up * hosts) {
        counts->disconnects.add(code);
        return self->quit(why);
      }
    }
    wait_and_connect(why);
  }

  /// The pipeline ends as one that is shut down, which nobody restarts.
  void give_up(const caf::error& why) {
    given_up = true;
    last_refusal = why;
    counts->disconnects.add(code_of(why));
    tree->say(log_level::error, key, describe(why) + "; given up, since to try again would not help");
    tree->board.set(key, id, socket_phase::refused, why);
    tree->events.tell({.what = event::kind::refused, .key = key, .why = why});
    const auto whole = config.keys->supervisor();
    tree->note_give_up(whole, why, config.supervisor);
    tree->events.tell({.what = event::kind::gave_up, .key = whole, .why = why});
    send_exit(config.supervisor, make_error(exit_code::shutdown, whole + " gave up: " + describe(why)));
  }

  /// Forgets the connection; whoever owns the socket is told if there was one.
  void drop_link() {
    link = nullptr;
    if (connected && owner)
      send(self, owner, link_down{number});
    connected = false;
    number = 0;
    ++generation;
  }

  void wait_and_connect(const caf::error& why) {
    const auto& b = tree->description.backoff;
    const auto most =
      code_of(why) == errc::conflict ? std::max(b.first, std::min(b.most, most_after_conflict)) : b.most;
    constexpr double whole = 1ull << 53;
    const auto chance = static_cast<double>(tree->world->random() >> 11) / whole;
    const auto delay = protocol::backoff_delay(b.first, most, attempt++, chance);
    number = 0; // what is still said of this attempt comes too late
    counts->disconnects.add(code_of(why));
    if (!last_refusal)
      tree->board.set(key, id, socket_phase::waiting, why);
    const auto level = class_of(code_of(why)) == error_class::configuration ? log_level::error : log_level::warning;
    tree->say(level, key, describe(why) + "; next attempt in " + std::to_string(delay.count()) + " ms");
    tree->events.tell({.what = event::kind::disconnected, .key = key, .why = why, .next_attempt = delay});
    send_later(self, delay, reconnect{++generation});
  }

  /// Whether the broker says in words that it stays so. What may be made later, a namespace or a topic, does not stay.
  static bool is_said(const connection::ended& end) {
    if (end.how != connection::end::refused)
      return false;
    const auto code = protocol::permanent_code(word_of(end));
    return code == errc::bad_request || code == errc::topic_terminated;
  }

  static std::string word_of(const connection::ended& end) {
    return end.text.empty() ? protocol::reason_in_answer(end.answer) : end.text;
  }

  [[nodiscard]] caf::error reason(const connection::ended& end, bool was_connected) const {
    const auto text = end.text.empty() ? std::string{} : " (" + end.text + ")";
    switch (end.how) {
      case connection::end::unresolved:
        return make_error(errc::unresolved_host, place() + ": the host's name does not resolve" + text);
      case connection::end::unreachable:
        return make_error(errc::connection_failed, place() + ": no WebSocket server answers there" + text);
      case connection::end::unsendable: return make_error(errc::invalid_option, place() + ": " + end.text);
      case connection::end::refused: {
        const auto word = word_of(end);
        const auto code = code_for(end.status, word);
        return make_error(code, place() + ": the handshake was refused with status " + std::to_string(end.status) + ": "
                                  + (word.empty() ? std::string{advice_for(code)} : word));
      }
      case connection::end::untrusted: return make_error(errc::untrusted, place() + ": " + end.text);
      case connection::end::peer_closed:
        return make_error(errc::connection_lost, place() + ": the broker closed the connection with code "
                                                   + std::to_string(end.status) + text);
      default:
        return make_error(was_connected ? errc::connection_lost : errc::connection_failed,
                          place() + ": the connection ended" + text);
    }
  }

  /// What is produced goes to the owner, which outlives this actor.
  template <class Question>
  caf::response_promise pass_on(Question question) {
    if (!is_producer())
      return refuse(self, make_error(errc::not_registered, "'" + key + "' is no producer: nothing is produced by it"));
    if (!owner)
      return refuse(self,
                    make_error(errc::not_sent, to_string(config.keys->topic()) + ": the producer is being restarted"));
    return delegate(self, owner, std::move(question));
  }

  // -- leaving

  void on_exit(const caf::error& why) {
    if (!why || leaving)
      return;
    leaving = true;
    if (given_up)
      return self->quit(make_error(exit_code::shutdown, "it was given up"));
    if (is_producer() && owner)
      send(self, owner, drain{caf::actor_cast<caf::actor>(self)}); // and close when it has answered
    else
      close(); // behind what was sent
  }

  void close() {
    closing = true;
    if (!link)
      return self->quit(make_error(exit_code::shutdown, "closed"));
    link->close(); // and quit when the connection has ended
  }

  caf::behavior make_behavior() {
    tree->board.set(key, id, socket_phase::connecting);
    if (!is_producer())
      tree->board.set_parent(key, config.keys->dispatcher());
    join_tree(self, tree, key, starter, [this] {
      find_owner();
      return true;
    });
    signal_handlers signals;
    signals.down = [this](const caf::actor_addr& who, const caf::error&) {
      if (owner && owner.address() == who)
        on_owner_down();
    };
    signals.exit = [this](const caf::actor_addr&, const caf::error& why) { on_exit(why); };
    return behave(
      self, std::move(signals), [this](const link_up& m) { on_open(m.connection); },
      [this](frames_in& m) {
        if (m.connection != number || !owner)
          return;
        send(self, owner, frames_in{m.connection, std::move(m.frames)});
        past->leave();
      },
      [this](const link_down& m) { on_end(m); },
      [this](const reset_connection& m) {
        if (m.connection != number || closing)
          return;
        drop_link();
        wait_and_connect(m.why);
      },
      [this](const refuse_connection& m) {
        if (m.connection != number || closing)
          return;
        drop_link();
        give_up(m.why);
      },
      [this](const reconnect& m) {
        if (m.generation == generation)
          ask_for_handshake();
      },
      [this](handshake& m) { connect(m); },
      [this](const progress& m) {
        if (m.connection == number)
          attempt = 0;
      },
      [this](publish& m) { return pass_on(std::move(m)); }, [this](publish_all& m) { return pass_on(std::move(m)); },
      [this](const wait_for_room& m) { return pass_on(m); }, [this](report_vitals) { return vitals_of(self); },
      [this](const drained&) { close(); });
  }
};

} // namespace

caf::actor spawn_socket(tree_context_ptr tree, socket_config config, caf::actor starter) {
  const auto here = tree;
  return here->counted(spawn_state<socket_state>(here->system, std::move(tree), std::move(config), std::move(starter)));
}

} // namespace stargate::internal
