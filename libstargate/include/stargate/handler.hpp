/// @file
/// What an application does with the messages of a consumer or reader.
#pragma once

#include <stargate/export.hpp>
#include <stargate/message.hpp>
#include <stargate/registry.hpp>
#include <stargate/weak_tree.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace STARGATE_API stargate {

/// Where a handler runs.
struct handler_context {
  topic_name topic;          ///< Of the consumer or reader.
  std::string component;     ///< The processor's component in the registry, such as `processor/billing/0`.
  std::size_t processor = 0; ///< Counts the processors of one consumer or reader.
  weak_tree tree = {};       ///< The tree that it is part of.
};

/// Handles the messages of one processor. Each processor makes one of its own, and makes a new one after a restart,
/// so members need no locks.
/// @par Source `Stargate.Receiver.MessageHandler` of the Elixir original.
class message_handler {
public:
  message_handler() = default;
  message_handler(const message_handler&) = delete;
  message_handler& operator=(const message_handler&) = delete;
  virtual ~message_handler() = default;

  /// Runs before the first message. An exception ends the processor: its supervisor decides.
  virtual void init(const handler_context&) {}

  /// Handles a message. An exception ends the processor; the message is not acknowledged and comes again.
  /// @par Threads one at a time, on one that is nobody else's meanwhile, but may be another each time; or on one of the
  /// actor system's (`consumer_options::run_on`)
  [[nodiscard]] virtual disposition handle_message(const received_message& message) = 0;

  /// Handles up to `batch_size` messages at once, where that option is more than 1: an answer for each, in their
  /// order. By itself it handles one after the other. An exception is about all of them.
  [[nodiscard]] virtual std::vector<disposition> handle_batch(std::span<const received_message> batch) {
    std::vector<disposition> answers;
    for (const auto& message : batch)
      answers.push_back(handle_message(message));
    return answers;
  }
};

/// A handler whose messages are its own to change and to move from, so that a payload goes onward without a copy.
/// What is settled is what came, whatever becomes of the message. With `on_failure` `dead_letter` a copy is kept for it.
class taking_handler : public message_handler {
public:
  /// As `handle_message`. @par Threads as `handle_message`
  [[nodiscard]] virtual disposition take_message(received_message&& message) = 0;
  /// As `handle_batch`. @par Threads as `handle_message`
  [[nodiscard]] virtual std::vector<disposition> take_batch(std::vector<received_message>&& batch) {
    std::vector<disposition> answers;
    for (auto& message : batch)
      answers.push_back(take_message(std::move(message)));
    return answers;
  }

  disposition handle_message(const received_message& message) final { return take_message(received_message{message}); }
  std::vector<disposition> handle_batch(std::span<const received_message> batch) final {
    return take_batch({batch.begin(), batch.end()});
  }
};

namespace internal {

/// Whether `F` wants messages to be its own: it takes them by `&&`.
template <class F, class... More>
inline constexpr bool takes_messages =
  std::is_invocable_r_v<disposition, F&, received_message&&,
                        const More&...> && !std::is_invocable_v<F&, const received_message&, const More&...>;

} // namespace internal

/// Makes handlers, one for each processor. It is made from a factory of handlers, or from a function of a message.
class handler_factory {
public:
  handler_factory() = default;

  /// From a function that makes a handler: `[] { return std::make_unique<billing>(); }`.
  template <class F>
  requires std::is_invocable_r_v<std::unique_ptr<message_handler>, F&> handler_factory(F make)
    : make_{std::move(make)} {}

  /// From a function of a message, which keeps no state: `[](const received_message& m) { …; return disposition::ack;
  /// }`. All processors call copies of it at the same time.
  template <class F>
  requires std::is_invocable_r_v<disposition, F&, const received_message&> handler_factory(F handle) {
    class stateless final : public message_handler {
    public:
      explicit stateless(F f) : handle_{std::move(f)} {}
      disposition handle_message(const received_message& message) override { return handle_(message); }

    private:
      F handle_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<stateless>(handle); };
  }

  /// From a function of a message and where it runs, to produce in the same tree: `[](const received_message& m, const
  /// handler_context& here) { return here.tree.produce_and_ack(m, producer_key(to), {…}); }`.
  template <class F>
  requires std::is_invocable_r_v<disposition, F&, const received_message&, const handler_context&>
  handler_factory(F handle) {
    class with_context final : public message_handler {
    public:
      explicit with_context(F f) : handle_{std::move(f)} {}
      void init(const handler_context& here) override { here_ = here; }
      disposition handle_message(const received_message& message) override { return handle_(message, here_); }

    private:
      F handle_;
      handler_context here_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<with_context>(handle); };
  }

  /// The same, from a function that takes the message by `&&`: it may move from it (`taking_handler`).
  template <class F>
  requires internal::takes_messages<F> handler_factory(F handle) {
    class stateless final : public taking_handler {
    public:
      explicit stateless(F f) : handle_{std::move(f)} {}
      disposition take_message(received_message&& message) override { return handle_(std::move(message)); }

    private:
      F handle_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<stateless>(handle); };
  }
  /// From a function of a message that it may move from, and of the context.
  template <class F>
  requires internal::takes_messages<F, handler_context> handler_factory(F handle) {
    class with_context final : public taking_handler {
    public:
      explicit with_context(F f) : handle_{std::move(f)} {}
      void init(const handler_context& here) override { here_ = here; }
      disposition take_message(received_message&& message) override { return handle_(std::move(message), here_); }

    private:
      F handle_;
      handler_context here_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<with_context>(handle); };
  }

  /// From a function of a batch, which keeps no state and answers for each message.
  template <class F>
  requires std::is_invocable_r_v<
    std::vector<disposition>, F&,
    std::span<const received_message>> && (!std::is_invocable_v<F&, const received_message&>)handler_factory(F handle) {
    class stateless final : public message_handler {
    public:
      explicit stateless(F f) : handle_{std::move(f)} {}
      disposition handle_message(const received_message& message) override { return handle_({&message, 1}).at(0); }
      std::vector<disposition> handle_batch(std::span<const received_message> batch) override { return handle_(batch); }

    private:
      F handle_;
    };
    make_ = [handle = std::move(handle)] { return std::make_unique<stateless>(handle); };
  }

  /// Whether there is one.
  [[nodiscard]] explicit operator bool() const { return make_ || find_; }
  /// A handler, or nothing where messages go to an actor. @throws what the factory throws
  [[nodiscard]] std::unique_ptr<message_handler> operator()() const { return make_ ? make_() : nullptr; }

  /// Where messages go to an actor: finds it now. Empty for handlers.
  using finder = std::function<caf::actor(const registry& own)>;
  /// How the actor is found, where messages go to one.
  [[nodiscard]] const finder& actor() const { return find_; }

private:
  friend handler_factory deliver_to(finder find);
  std::function<std::unique_ptr<message_handler>()> make_;
  finder find_;
};

/// What an actor is sent that messages are delivered to (`deliver_to`), by a request: it answers with `dispositions`.
struct message_batch {
  std::vector<received_message> messages; ///< In the order in which they came; at least one.
};
/// What becomes of the messages of a batch.
struct dispositions {
  std::vector<disposition> each; ///< In the order of the messages; with a single one, it is that of all.

  dispositions() = default;
  /// The same for every message.
  dispositions(disposition all) : each{all} {}
  /// One for each message.
  explicit dispositions(std::vector<disposition> of_each) : each{std::move(of_each)} {}
};

/// Delivers messages to an actor instead of a handler, in batches: each processor sends it a `message_batch` and waits
/// for the answer before it sends the next, so no more than `processors` times `max_demand` messages are with it. A
/// batch is what has come, up to `batch_size` if that is more than 1, otherwise up to `max_demand`. An error for an
/// answer, no answer within `handler_timeout`, and the actor's end are failures of what it had in hand: `on_failure`
/// says what becomes of that. While nobody has the name, messages wait.
/// @param find gives the actor to send to now; the tree's own registry is handed to it
/// @par Source GenStage: a consumer's demand
[[nodiscard]] inline handler_factory deliver_to(handler_factory::finder find) {
  handler_factory result;
  result.find_ = std::move(find);
  return result;
}
/// To this actor, whose end for good is an end of the consumer's patience, too: better give it a name.
[[nodiscard]] inline handler_factory deliver_to(caf::actor who) {
  return deliver_to(handler_factory::finder{[who = std::move(who)](const registry&) { return who; }});
}
/// To whoever has a name in a registry now.
[[nodiscard]] inline handler_factory deliver_to(registry names, std::string name) {
  return deliver_to(handler_factory::finder{
    [names = std::move(names), name = std::move(name)](const registry&) { return names.whereis(name); }});
}
/// To whoever has a name in the tree's own registry (`tree::registry`) now.
[[nodiscard]] inline handler_factory deliver_to(std::string name) {
  return deliver_to(
    handler_factory::finder{[name = std::move(name)](const registry& own) { return own.whereis(name); }});
}

/// A handler with state, from two functions: `init` makes the state of a processor, `handle` takes a message and the
/// state, which it may change.
template <std::invocable Init, class Handle>
requires std::is_invocable_r_v < disposition, Handle&, const received_message&, std::invoke_result_t<Init>
& > [[nodiscard]] handler_factory stateful(Init init, Handle handle) {
  using state = std::invoke_result_t<Init>;
  class with_state final : public message_handler {
  public:
    with_state(Init make, Handle how) : state_(make()), handle_{std::move(how)} {}
    disposition handle_message(const received_message& message) override { return handle_(message, state_); }

  private:
    state state_;
    Handle handle_;
  };
  return handler_factory{[init = std::move(init), handle = std::move(handle)]() -> std::unique_ptr<message_handler> {
    return std::make_unique<with_state>(init, handle);
  }};
}

/// A handler of the class `Handler`, made with copies of `arguments`.
template <std::derived_from<message_handler> Handler, class... Arguments>
[[nodiscard]] handler_factory make_handler(Arguments... arguments) {
  return handler_factory{
    [arguments...]() -> std::unique_ptr<message_handler> { return std::make_unique<Handler>(arguments...); }};
}

} // namespace stargate

#define STARGATE_HANDLER_MESSAGES(X) X(stargate::message_batch) X(stargate::dispositions)
#define STARGATE_ID(type) STARGATE_TYPE(stargate_handler, type)
STARGATE_BEGIN_TYPES(stargate_handler, STARGATE_FIRST_TYPE_ID + 230)
STARGATE_HANDLER_MESSAGES(STARGATE_ID)
STARGATE_END_TYPES(stargate_handler)
#undef STARGATE_ID
STARGATE_HANDLER_MESSAGES(STARGATE_LOCAL_MESSAGE)
