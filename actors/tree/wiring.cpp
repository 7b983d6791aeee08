#include "actors/tree/wiring.hpp"

#include "actors/producer/producer_ack.hpp"
#include "actors/receiver/consumer_ack.hpp"
#include "actors/receiver/dispatcher.hpp"
#include "actors/receiver/presence.hpp"
#include "actors/receiver/processor.hpp"
#include "actors/shared/join.hpp"
#include "actors/shared/messages.hpp"
#include "actors/socket/socket.hpp"
#include "actors/tree/reconciler.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

namespace stargate::internal {

namespace {

/// A worker of the tree: it reports when it has its name, and has the tree's time to drain.
child_spec worker(const tree_context_ptr& tree, std::string key, start_function start) {
  child_spec spec;
  spec.id = std::move(key);
  spec.start = std::move(start);
  spec.shutdown = tree->description.shutdown;
  spec.start_timeout = tree->start_timeout();
  return spec;
}

/// @param is_pipeline whether it is that of one; @param pipelines else, the supervisors of those that end when it gives up
supervisor_options supervisor_for(const tree_context_ptr& tree, std::string name, strategy how,
                                  std::vector<child_spec> children, bool is_pipeline = false,
                                  std::vector<std::string> pipelines = {}) {
  supervisor_options o;
  o.name = std::move(name);
  o.strategy = how;
  o.intensity = tree->description.intensity;
  o.period = tree->description.period;
  o.children = std::move(children);
  o.kill_timeout = tree->description.shutdown;
  o.log = tree->description.log;
  o.on_report = [tree, is_pipeline, pipelines = std::move(pipelines)](const supervisor_report& r) {
    if (r.what == supervisor_report::event::started && r.restarts > 0) {
      tree->metrics.restarts.add();
      tree->events.tell({.what = event::kind::restarted, .key = r.child});
    }
    if (r.what != supervisor_report::event::gave_up)
      return;
    if (is_pipeline)
      tree->note_give_up(r.supervisor, r.why);
    for (const auto& key : pipelines)
      tree->note_give_up(key, r.why);
    tree->events.tell({.what = event::kind::gave_up, .key = r.supervisor, .why = r.why});
  };
  return o;
}

/// A supervisor of the tree, registered under its name. A topic that gives up ends with `shutdown`, so `transient`
/// leaves it down and the others alone; one that is killed is started again.
child_spec named_supervisor(const tree_context_ptr& tree, supervisor_options o, restart when) {
  const auto name = o.name;
  auto spec = supervisor_spec(name, std::move(o), when);
  spec.start = [tree, id = spec.id, start = std::move(spec.start)](const start_context& context) {
    tree->note_start(id);
    auto who = start(context);
    if (who)
      post(tree->registry().actor(), register_name{id, tree->counted(*who), tree->name_timeout()});
    return who;
  };
  return spec;
}

/// The supervisor of one pipeline.
child_spec pipeline_supervisor(const tree_context_ptr& tree, const std::string& key, strategy how,
                               std::vector<child_spec> children) {
  return named_supervisor(tree, supervisor_for(tree, key, how, std::move(children), true), restart::transient);
}

/// @param o is kept, where it is
child_spec producer_spec(const tree_context_ptr& tree, const std::shared_ptr<const producer_options>& o) {
  const auto keys = role_keys_of(*o);
  // What was encrypted before a reconnect goes out again after it, so all connections share one key.
  const auto encrypts = o->encryption.empty() ? nullptr : std::make_shared<const protocol::encryptor>(o->encryption);
  std::vector<child_spec> children;
  children.reserve(2);
  children.push_back(worker(tree, keys.acknowledger(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_producer_ack(tree, role_keys_of(*o), o, encrypts, c.supervisor);
  }));
  children.push_back(worker(tree, keys.socket(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_socket(tree, {std::make_shared<const role_keys>(role_keys_of(*o)), c.supervisor, o->effectively_once},
                        c.supervisor);
  }));
  return pipeline_supervisor(tree, keys.supervisor(), strategy::one_for_one, std::move(children));
}

child_spec receiver_spec(const tree_context_ptr& tree, const receiver_ptr& p) {
  std::vector<child_spec> children;
  children.reserve(2 + p->processors);
  children.push_back(worker(tree, p->keys.dispatcher(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_dispatcher(tree, p, c.supervisor);
  }));
  for (std::size_t i = 0; i < p->processors; ++i)
    children.push_back(worker(tree, p->keys.processor(i), [=](const start_context& c) -> caf::expected<caf::actor> {
      return spawn_processor(tree, p, i, c.supervisor);
    }));
  children.push_back(worker(tree, p->keys.acknowledger(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_consumer_ack(tree, p, c.supervisor);
  }));
  return pipeline_supervisor(tree, p->keys.supervisor(), strategy::one_for_all, std::move(children));
}

/// The name by which the broker can be asked for a consumer or reader: its own, or one that is made up.
std::string name_at_broker(const tree_context_ptr& tree, const std::optional<std::string>& own) {
  if (own || tree->description.idle_check.count() == 0)
    return own.value_or("");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string name = "stargate-";
  for (auto random = tree->world->random(); name.size() < std::string_view{"stargate-0123456789"}.size(); random >>= 4)
    name += digits[random & 15];
  return name;
}

/// @param o is kept, where it is
child_spec consumer_spec(const tree_context_ptr& tree, const std::shared_ptr<const consumer_options>& o) {
  const auto name = name_at_broker(tree, o->consumer_name);
  auto path = [o, name]() -> caf::expected<std::string> {
    auto named = *o;
    if (!name.empty())
      named.consumer_name = name;
    return protocol::request_path(named);
  };
  return receiver_spec(tree, std::make_shared<const receiver>(role_keys_of(*o), *o, std::move(path), nullptr, name));
}

/// @param o is kept, where it is
child_spec reader_spec(const tree_context_ptr& tree, const std::shared_ptr<const reader_options>& o) {
  auto position = std::make_shared<std::string>(o->start.text());
  const auto name = name_at_broker(tree, o->reader_name);
  auto path = [o, position, name]() -> caf::expected<std::string> {
    auto from_here = *o;
    if (!name.empty())
      from_here.reader_name = name;
    from_here.start = start_at{message_id{*position}};
    return protocol::request_path(from_here);
  };
  return receiver_spec(tree, std::make_shared<const receiver>(role_keys_of(*o), *o, std::move(path), position, name));
}

/// Whatever stands in a pipeline's or an instance's place notes what it is.
child_spec noting(const tree_context_ptr& tree, const std::shared_ptr<const plan::item>& item, child_spec spec) {
  spec.start = [=, start = std::move(spec.start)](const start_context& context) {
    tree->roster.enter(item);
    tree->note_place(*item);
    return start(context);
  };
  return spec;
}

/// Nothing runs in its place, which is kept. @par Source OTP: a start that gives `ignore`
child_spec drained_spec(const std::string& id) {
  child_spec spec;
  spec.id = id;
  spec.start = [](const start_context&) -> caf::expected<caf::actor> { return caf::actor{}; };
  spec.restart = restart::transient;
  spec.type = child_type::supervisor;
  return spec;
}

/// Its children are what the plan says when it starts.
child_spec topics_spec(const tree_context_ptr& tree) {
  auto spec = named_supervisor(tree, supervisor_for(tree, topics_name(tree->description), strategy::one_for_one, {}),
                               restart::permanent);
  spec.start = [tree, name = spec.id](const start_context& context) -> caf::expected<caf::actor> {
    std::vector<child_spec> children;
    for (const auto& item : tree->plan.now())
      if (!has_had_its_time(*tree, item))
        children.push_back(spec_of(tree, item));
    return named_supervisor(tree, supervisor_for(tree, name, strategy::one_for_one, std::move(children)),
                            restart::permanent)
      .start(context);
  };
  return spec;
}

/// The names of the living outlive the registry's actor, as a table outlives its owner in OTP by its heir: who comes
/// after somebody that is on its way out waits for it, also when the registry was restarted meanwhile.
child_spec registry_spec(const tree_context_ptr& tree) {
  child_spec spec;
  spec.id = registry_name(tree->description);
  spec.start = [tree, id = spec.id](const start_context& context) -> caf::expected<caf::actor> {
    auto r = registry::succeed(context.system, tree->registry(), id);
    tree->counted(r.actor());
    post(r.actor(), register_name{id, r.actor()});
    post(r.actor(), register_name{top_name(tree->description), context.supervisor});
    auto who = r.actor();
    tree->set_registry(std::move(r));
    return who;
  };
  spec.shutdown = tree->description.shutdown;
  return spec;
}

} // namespace

std::string top_name(const options& o) {
  return "sup_" + o.name;
}
std::string registry_name(const options& o) {
  return "reg_" + o.name;
}
std::string topics_name(const options& o) {
  return "topics_" + o.name;
}
std::string reconciler_name(const options& o) {
  return "plan_" + o.name;
}

bool has_had_its_time(const tree_context& tree, const std::shared_ptr<const plan::item>& item) {
  return item->own && item->own->restart == restart::temporary && tree.roster.find(item->id) == item;
}

caf::actor spawn_tree(const tree_context_ptr& tree, caf::actor parent) {
  std::vector<child_spec> children{
    registry_spec(tree), topics_spec(tree),
    worker(tree, reconciler_name(tree->description), [tree](const start_context& c) -> caf::expected<caf::actor> {
      return spawn_reconciler(tree, c.supervisor);
    })};
  if (tree->description.idle_check.count() > 0)
    children.push_back(
      worker(tree, presence_name(tree->description), [tree](const start_context& c) -> caf::expected<caf::actor> {
        return spawn_presence(tree, c.supervisor);
      }));
  auto o = supervisor_for(tree, top_name(tree->description), strategy::rest_for_one, std::move(children));
  auto top = tree->counted(spawn_supervisor(tree->system, std::move(o), std::move(parent)));
  caf::actor_cast<caf::abstract_actor*>(top)->attach_functor([tree](const caf::error& why) { tree->note_end(why); });
  return top;
}

child_spec spec_of(const tree_context_ptr& tree, const std::shared_ptr<const plan::item>& item) {
  if (item->own) {
    auto spec = *item->own;
    spec.start = [tree, start = std::move(spec.start)](const start_context& context) {
      auto who = start(context);
      if (who && *who)
        tree->counted(*who);
      return who;
    };
    return noting(tree, item, std::move(spec));
  }
  if (item->is_drained)
    return noting(tree, item, drained_spec(item->id));
  std::vector<child_spec> specs;
  for (const auto& o : item->what.producers)
    specs.push_back(producer_spec(tree, {item, &o}));
  for (const auto& o : item->what.consumers)
    specs.push_back(consumer_spec(tree, {item, &o}));
  for (const auto& o : item->what.readers)
    specs.push_back(reader_spec(tree, {item, &o}));
  if (!item->made_of)
    return noting(tree, item, std::move(specs.front()));
  std::vector<std::string> keys;
  for (const auto& spec : specs)
    keys.push_back(spec.id);
  auto o = supervisor_for(tree, item->id, strategy::one_for_one, std::move(specs), false, std::move(keys));
  return noting(tree, item, named_supervisor(tree, std::move(o), restart::transient));
}

} // namespace stargate::internal
