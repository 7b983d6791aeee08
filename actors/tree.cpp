#include <stargate/tree.hpp>

#include "actors/inspection.hpp"
#include "actors/messages.hpp"
#include "actors/publication.hpp"
#include "actors/roles.hpp"
#include "actors/site.hpp"
#include "actors/tree_guard.hpp"
#include "actors/wiring.hpp"
#include "libstargate/protocol/percent.hpp"

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <utility>

namespace stargate {

using internal::publication_ptr;

namespace {

constexpr std::chrono::minutes patience{10};             // for a tree to stand; each of its actors bounds its own start
constexpr std::chrono::milliseconds answer_grace{5'000}; // beyond `send_timeout`, which the acknowledger keeps

/// The answers to a list of messages, for a thread that waits for them. Publications share it, so that it outlives
/// the wait.
class answers {
public:
  explicit answers(std::size_t count)
    : missing_{count},
      list_(count, make_error(errc::outcome_unknown, "no answer came within the time to send")) {}

  void set(std::size_t place, caf::expected<message_id> answer) {
    const std::lock_guard guard{mutex_};
    if (given_up_)
      return;
    list_[place] = std::move(answer);
    if (--missing_ == 0)
      all_there_.notify_one();
  }

  [[nodiscard]] std::vector<caf::expected<message_id>> wait(std::chrono::milliseconds timeout) {
    std::unique_lock lock{mutex_};
    all_there_.wait_for(lock, timeout, [this] { return missing_ == 0; });
    given_up_ = true;
    return std::move(list_);
  }

private:
  std::mutex mutex_;
  std::condition_variable all_there_;
  std::size_t missing_;
  bool given_up_ = false;
  std::vector<caf::expected<message_id>> list_;
};

/// The key of the actor that accepts what is produced under a producer's key.
std::string acknowledger_of(const registry_key& producer) {
  auto key = producer;
  key.component = internal::row_of(internal::role::producer).acknowledger;
  return to_string(key);
}

caf::error no_producer(const registry_key& key) {
  return make_error(errc::not_registered,
                    "no producer of " + to_string(key.topic) + " is registered in the tree '" + key.name + "'");
}

} // namespace

// -- starting and stopping ------------------------------------------------------

caf::expected<tree> start(caf::actor_system& system, options o) {
  if (auto wrong = validate(o))
    return wrong;
  tree result;
  try {
    result.site_ = std::make_shared<internal::site>(system, std::move(o));
  } catch (const connection::bad_tls_settings& e) {
    return make_error(errc::invalid_option, e.what());
  } catch (const std::exception& e) {
    return make_error(errc::start_failed, e.what());
  }
  result.site_->expect(result.site_->plan.now());
  caf::scoped_actor self{system};
  const auto top = internal::spawn_tree(result.site_, caf::actor_cast<caf::actor>(self));
  self->monitor(top);
  result.guard_ = internal::tree_guard::make(result.site_, top);
  caf::error failure = make_error(errc::start_failed, "the tree did not stand in time");
  self->receive([&](const child_started&) { failure = {}; },
                [&](const caf::down_msg& down) { failure = make_error(errc::start_failed, describe(down.reason)); },
                caf::after(patience) >> [] {});
  if (failure)
    return failure;
  try {
    if (!result.site_->description.inspection_socket.empty())
      result.guard_->inspection = std::make_unique<internal::inspection_server>(result.site_, top);
  } catch (const std::exception& e) {
    return make_error(errc::invalid_option, e.what()); // and the tree is stopped with the last handle to it
  }
  return result;
}

caf::error tree::stop(std::chrono::milliseconds timeout) const {
  return guard_ ? guard_->stop(timeout) : caf::error{};
}

// -- producing ------------------------------------------------------------------

std::vector<caf::expected<message_id>> tree::produce_list(const registry_key& producer,
                                                          std::vector<message> contents) const {
  const auto send_timeout = site_->plan.producing_to(producer.topic).value_or(internal::plan::producing{}).send_timeout;
  auto waiting = std::make_shared<answers>(contents.size());
  if (contents.empty())
    return waiting->wait({});
  internal::publish batch;
  batch.waits_for_room = true;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i)
    batch.items.push_back(std::make_shared<internal::publication>(
      std::move(contents[i]), [waiting, i](caf::expected<message_id> answer) { waiting->set(i, std::move(answer)); }));
  auto key = producer;
  key.component = internal::row_of(internal::role::producer).acknowledger;
  auto acknowledger = whereis(key);
  if (!acknowledger && send_timeout.count() > 0) // it is being restarted
    if (auto restarted = await(key, send_timeout))
      acknowledger = std::move(*restarted);
  if (acknowledger)
    post(acknowledger, std::move(batch));
  else
    for (auto& item : std::exchange(batch.items, {}))
      item->answer(no_producer(producer));
  return waiting->wait(send_timeout + answer_grace);
}

caf::expected<message_id> tree::produce(const registry_key& producer, message content) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  return std::move(produce_list(producer, std::move(one)).front());
}

void tree::hand_over(const registry_key& producer, std::vector<message> contents,
                     const std::function<receipt_handler(std::size_t)>& answer) const {
  const auto to = site_->plan.producing_to(producer.topic);
  const auto acknowledger = to ? registry().whereis(acknowledger_of(producer)) : caf::actor{};
  internal::publish batch;
  batch.items.reserve(contents.size());
  for (std::size_t i = 0; i < contents.size(); ++i) {
    if (!acknowledger)
      internal::publication{{}, answer(i)}.answer(no_producer(producer));
    else if (!to->entrance->enter())
      internal::publication{{}, answer(i)}.answer(
        make_error(errc::queue_full, to_string(producer.topic) + ": " + std::to_string(to->entrance->most())
                                       + " messages await their receipts, as many as max_pending allows; slow down, "
                                         "or raise max_pending"));
    else
      batch.items.push_back(std::make_shared<internal::publication>(std::move(contents[i]), answer(i), to->entrance));
  }
  if (!batch.items.empty())
    post(acknowledger, std::move(batch));
}

void tree::produce(const registry_key& producer, std::vector<message> contents,
                   std::function<void(std::size_t, caf::expected<message_id>)> answer) const {
  const auto shared = std::make_shared<decltype(answer)>(std::move(answer));
  hand_over(producer, std::move(contents), [&](std::size_t i) -> receipt_handler {
    return [shared, i](caf::expected<message_id> a) { (*shared)(i, std::move(a)); };
  });
}

void tree::produce(const registry_key& producer, message content, receipt_handler answer) const {
  std::vector<message> one;
  one.push_back(std::move(content));
  hand_over(producer, std::move(one), [&](std::size_t) { return std::move(answer); });
}

void tree::produce(const registry_key& producer, message content, const caf::actor& answer_to) const {
  auto context = content.context.value_or("");
  produce(producer, std::move(content), [answer_to, context = std::move(context)](caf::expected<message_id> answer) {
    produced result{context, {}, {}};
    if (answer)
      result.id = std::move(*answer);
    else
      result.failure = std::move(answer.error());
    post(answer_to, std::move(result));
  });
}

// -- looking up -----------------------------------------------------------------

registry tree::registry() const {
  return site_->registry();
}

caf::actor tree::whereis(const registry_key& key) const {
  return registry().whereis(to_string(key));
}

caf::expected<caf::actor> tree::await(const registry_key& key, std::chrono::milliseconds timeout) const {
  const auto name = to_string(key);
  caf::expected<caf::actor> result = make_error(errc::timed_out, "nobody registered '" + name + "' in time");
  caf::scoped_actor self{site_->system};
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= std::chrono::milliseconds::zero())
      return result;
    request(self.ptr(), registry().actor(), left + answer_grace, await_name{name, left})
      .receive([&](found& f) { result = std::move(f.who); }, [&](caf::error& e) { result = std::move(e); });
    // A registry that ended meanwhile is restarted: ask the next one.
    if (result || code_of(result.error()) != errc::none)
      return result;
    self->receive(caf::after(std::chrono::milliseconds{10}) >> [] {});
  }
}

std::vector<registry_key> tree::keys(const key_pattern& p) const {
  const auto encoded = [](const std::optional<std::string>& part) {
    return part ? std::optional{protocol::percent_encode(*part)} : std::nullopt;
  };
  const auto persistence = p.persistence ? std::optional{std::string{name_of(*p.persistence)}} : std::nullopt;
  std::vector<registry_key> result;
  for (const auto& entry :
       registry()
         .select({encoded(p.component), persistence, encoded(p.tenant), encoded(p.ns), encoded(p.topic)})
         .entries)
    if (auto key = parse_registry_key(entry.name)) {
      key->name = this->name();
      result.push_back(std::move(*key));
    }
  return result;
}

// -- consumers and readers ------------------------------------------------------

namespace {

/// `consumer/billing` is `dispatcher/billing` with `to` = dispatcher; nothing for what is neither consumer nor reader.
std::optional<registry_key> sibling_of(const registry_key& receiver, std::string_view internal::role_row::*to) {
  for (const auto r : {internal::role::consumer, internal::role::reader}) {
    const auto& row = internal::row_of(r);
    const auto slash = std::min(receiver.component.find('/'), receiver.component.size());
    if (receiver.component.substr(0, slash) != row.socket)
      continue;
    auto key = receiver;
    key.component = std::string{row.*to} + receiver.component.substr(slash);
    return key;
  }
  return std::nullopt;
}

/// Asks the dispatcher of a receiver, and waits for the answer.
template <class Question>
caf::expected<bool> ask_dispatcher(const tree& t, const registry_key& receiver, std::chrono::milliseconds timeout) {
  const auto key = sibling_of(receiver, &internal::role_row::dispatcher);
  const auto dispatcher = key ? t.whereis(*key) : caf::actor{};
  if (!dispatcher)
    return make_error(errc::not_registered, "no consumer or reader '" + to_string(receiver) + "' is registered");
  auto promise = std::make_shared<std::promise<caf::expected<bool>>>();
  auto answer = promise->get_future();
  post(dispatcher, Question{std::make_shared<internal::one_answer<bool>>(
                     [promise](caf::expected<bool> result) { promise->set_value(std::move(result)); })});
  if (answer.wait_for(timeout) != std::future_status::ready)
    return make_error(errc::timed_out,
                      to_string(receiver) + ": no answer within " + std::to_string(timeout.count()) + " ms");
  return answer.get();
}

} // namespace

caf::expected<bool> tree::is_end_of_topic(const registry_key& receiver, std::chrono::milliseconds timeout) const {
  return ask_dispatcher<internal::ask_end_of_topic>(*this, receiver, timeout);
}

caf::error tree::unsubscribe(const registry_key& consumer, std::chrono::milliseconds timeout) const {
  if (consumer.component.substr(0, consumer.component.find('/')) != internal::row_of(internal::role::consumer).socket)
    return make_error(errc::not_registered, "'" + to_string(consumer) + "' is not the key of a consumer");
  auto told = ask_dispatcher<internal::leave_subscription>(*this, consumer, timeout);
  if (!told)
    return told.error();
  return remove(consumer);
}

// -- while it runs ----------------------------------------------------------------

caf::actor tree::topics() const {
  const auto name = internal::topics_name(site_->description);
  if (auto who = registry().whereis(name))
    return who;
  caf::scoped_actor self{site_->system}; // it is being restarted
  caf::actor who;
  request(self.ptr(), registry().actor(), 2 * answer_grace, await_name{name, answer_grace})
    .receive([&](found& f) { who = std::move(f.who); }, [](const caf::error&) {});
  return who;
}

caf::error tree::start_below_topics(std::vector<child_spec> specs) const {
  const auto supervisor = topics();
  caf::scoped_actor self{site_->system};
  for (auto& spec : specs) {
    caf::error failure;
    request(self.ptr(), supervisor, patience, stargate::start_child{std::move(spec)})
      .receive([](const found_child&) {}, [&](caf::error& e) { failure = std::move(e); });
    // The plan has it already: a supervisor that was restarted meanwhile started it.
    if (failure && code_of(failure) != errc::child_running && code_of(failure) != errc::child_present
        && code_of(failure) != errc::none)
      return failure;
  }
  return {};
}

caf::error tree::end_below_topics(const child_id& id) const {
  const auto supervisor = topics();
  caf::scoped_actor self{site_->system};
  caf::error failure;
  const auto ask = [&](auto question) {
    if (!failure)
      request(self.ptr(), supervisor, patience, std::move(question))
        .receive([](const child_done&) {}, [&](caf::error& e) { failure = std::move(e); });
  };
  ask(stargate::terminate_child{id});
  ask(delete_child{id});
  // A supervisor that was restarted meanwhile knows nothing of it any more.
  return code_of(failure) == errc::child_not_found || code_of(failure) == errc::none ? caf::error{} : failure;
}

caf::error tree::add(const pipelines& what) const {
  if (auto wrong = site_->plan.add(what))
    return wrong;
  const auto now = site_->plan.now();
  auto specs = internal::specs_of(site_, {internal::plan::dead_letter_producers(now), {}, {}});
  for (auto& spec : internal::specs_of(site_, what))
    specs.push_back(std::move(spec));
  site_->expect(now);
  return start_below_topics(std::move(specs));
}

caf::error tree::remove(const registry_key& key) const {
  const auto socket = to_string(key);
  if (!site_->plan.remove(socket))
    return make_error(errc::child_not_found,
                      "no producer, consumer or reader '" + socket + "' was described for the tree '" + name() + "'");
  auto supervisor = sibling_of(key, &internal::role_row::supervisor);
  if (!supervisor) {
    supervisor = key;
    supervisor->component = internal::row_of(internal::role::producer).supervisor;
  }
  auto failure = end_below_topics(to_string(*supervisor));
  site_->board.forget(socket);
  return failure;
}

caf::error tree::start_child(const std::string& from, const std::string& argument) const {
  const auto found = site_->description.templates.find(from);
  if (found == site_->description.templates.end() || !found->second)
    return make_error(errc::child_not_found, "the tree '" + name() + "' has no template '" + from + "'");
  const internal::plan::instance who{from, argument};
  pipelines what;
  try {
    what = found->second(argument);
  } catch (const std::exception& e) {
    return make_error(errc::start_failed, "the template '" + from + "' threw for '" + argument + "': " + e.what());
  }
  if (auto wrong = site_->plan.add(who, what))
    return wrong;
  const auto now = site_->plan.now();
  auto specs = internal::specs_of(site_, {internal::plan::dead_letter_producers(now), {}, {}});
  specs.push_back(internal::instance_spec(site_, who, what));
  site_->expect(now);
  return start_below_topics(std::move(specs));
}

caf::error tree::terminate_child(const std::string& from, const std::string& argument) const {
  const internal::plan::instance who{from, argument};
  const auto what = site_->plan.remove(who);
  if (!what)
    return what.error();
  auto failure = end_below_topics(internal::instance_name(who));
  for (const auto& socket : internal::socket_keys(*what))
    site_->board.forget(socket);
  return failure;
}

// -- looking inside -------------------------------------------------------------

caf::error tree::wait_ready(std::chrono::milliseconds timeout) const {
  return site_->board.wait_connected(timeout);
}

caf::actor tree::supervisor() const {
  return guard_->supervisor;
}

const std::string& tree::name() const {
  return site_->description.name;
}

tree_snapshot tree::inspect(std::chrono::milliseconds timeout) const {
  return internal::look_at(*site_, guard_->supervisor, timeout);
}

} // namespace stargate
