#include "actors/wiring.hpp"

#include "actors/consumer_ack.hpp"
#include "actors/dispatcher.hpp"
#include "actors/join.hpp"
#include "actors/messages.hpp"
#include "actors/processor.hpp"
#include "actors/producer_ack.hpp"
#include "actors/socket.hpp"
#include "libstargate/protocol/crypto.hpp"
#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/percent.hpp"

#include <memory>
#include <utility>

namespace stargate::internal {

namespace {

/// A worker of the tree: it reports when it has its name, and has the tree's time to drain.
child_spec worker(const site_ptr& tree, std::string key, start_function start) {
  child_spec spec;
  spec.id = std::move(key);
  spec.start = std::move(start);
  spec.shutdown = tree->description.shutdown;
  spec.start_timeout = start_timeout;
  return spec;
}

supervisor_options supervisor_for(const site_ptr& tree, std::string name, strategy how,
                                  std::vector<child_spec> children) {
  supervisor_options o;
  o.name = std::move(name);
  o.strategy = how;
  o.intensity = tree->description.intensity;
  o.period = tree->description.period;
  o.children = std::move(children);
  o.kill_timeout = tree->description.shutdown;
  o.log = tree->description.log;
  return o;
}

/// A supervisor of the tree, registered under its name. A topic that gives up ends with `shutdown`, so `transient`
/// leaves it down and the others alone; one that is killed is started again.
child_spec named_supervisor(const site_ptr& tree, supervisor_options o, restart when) {
  const auto name = o.name;
  auto spec = supervisor_spec(name, std::move(o), when);
  spec.start = [tree, id = spec.id, start = std::move(spec.start)](const start_context& context) {
    auto who = start(context);
    if (who)
      post(tree->registry().actor(), register_name{id, *who, name_timeout});
    return who;
  };
  return spec;
}

child_spec producer_spec(const site_ptr& tree, const producer_options& o) {
  const auto keys = keys_of(o);
  // What was encrypted before a reconnect goes out again after it, so all connections share one key.
  const auto encrypts = o.encryption.empty() ? nullptr : std::make_shared<const protocol::encryptor>(o.encryption);
  const auto identity =
    o.effectively_once ? std::make_shared<publisher_identity>(o.producer_name.value_or("stargate")) : nullptr;
  auto path = [o, encrypts, identity]() -> caf::expected<std::string> {
    auto with = o;
    if (identity) {
      const auto connection = identity->connect();
      with.producer_name = connection.name;
      with.initial_sequence_id = connection.behind;
    }
    auto result = protocol::request_path(with);
    if (!encrypts)
      return result;
    auto parameter = encrypts->parameter();
    if (!parameter)
      return make_error(errc::crypto_failed, to_string(o.topic) + ": " + context_of(parameter.error()));
    return result + (result.find('?') == std::string::npos ? "?" : "&")
           + "encryptionKeys=" + protocol::percent_encode(*parameter);
  };
  std::vector<child_spec> children;
  children.push_back(worker(tree, keys.acknowledger(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_producer_ack(tree, keys, o, encrypts, identity, c.supervisor);
  }));
  children.push_back(worker(tree, keys.socket(), [=](const start_context& c) -> caf::expected<caf::actor> {
    return spawn_socket(tree, {keys, path, identity != nullptr}, c.supervisor);
  }));
  return named_supervisor(tree, supervisor_for(tree, keys.supervisor(), strategy::one_for_one, std::move(children)),
                          restart::transient);
}

child_spec receiver_spec(const site_ptr& tree, const pipeline_ptr& p) {
  std::vector<child_spec> children;
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
  return named_supervisor(tree, supervisor_for(tree, p->keys.supervisor(), strategy::one_for_all, std::move(children)),
                          restart::transient);
}

child_spec consumer_spec(const site_ptr& tree, const consumer_options& o) {
  return receiver_spec(tree, std::make_shared<const pipeline>(keys_of(o), o, [o]() -> caf::expected<std::string> {
                         return protocol::request_path(o);
                       }));
}

child_spec reader_spec(const site_ptr& tree, const reader_options& o) {
  auto position = std::make_shared<reader_position>(o.start.text());
  auto path = [o, position]() -> caf::expected<std::string> {
    auto from_here = o;
    from_here.start = start_at{message_id{position->get()}};
    return protocol::request_path(from_here);
  };
  return receiver_spec(tree, std::make_shared<const pipeline>(keys_of(o), o, std::move(path), position));
}

/// Its children are what the plan says when it starts.
child_spec topics_spec(const site_ptr& tree) {
  auto spec = named_supervisor(tree, supervisor_for(tree, topics_name(tree->description), strategy::one_for_one, {}),
                               restart::permanent);
  spec.start = [tree, name = spec.id](const start_context& context) -> caf::expected<caf::actor> {
    const auto now = tree->plan.now();
    auto children = specs_of(tree, {plan::dead_letter_producers(now), {}, {}});
    for (auto& s : specs_of(tree, now.topics))
      children.push_back(std::move(s));
    for (const auto& [who, what] : now.instances)
      children.push_back(instance_spec(tree, who, what));
    return named_supervisor(tree, supervisor_for(tree, name, strategy::one_for_one, std::move(children)),
                            restart::permanent)
      .start(context);
  };
  return spec;
}

child_spec registry_spec(const site_ptr& tree) {
  child_spec spec;
  spec.id = registry_name(tree->description);
  spec.start = [tree, id = spec.id](const start_context& context) -> caf::expected<caf::actor> {
    auto r = registry::spawn(context.system, id);
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

caf::actor spawn_tree(const site_ptr& tree, caf::actor parent) {
  auto o =
    supervisor_for(tree, top_name(tree->description), strategy::rest_for_one, {registry_spec(tree), topics_spec(tree)});
  return spawn_supervisor(tree->system, std::move(o), std::move(parent));
}

std::vector<child_spec> specs_of(const site_ptr& tree, const pipelines& p) {
  std::vector<child_spec> specs;
  for (const auto& o : p.producers)
    specs.push_back(producer_spec(tree, o));
  for (const auto& o : p.consumers)
    specs.push_back(consumer_spec(tree, o));
  for (const auto& o : p.readers)
    specs.push_back(reader_spec(tree, o));
  return specs;
}

std::string instance_name(const plan::instance& who) {
  return "pipelines_" + protocol::percent_encode(who.first) + "_" + protocol::percent_encode(who.second);
}

child_spec instance_spec(const site_ptr& tree, const plan::instance& who, const pipelines& p) {
  return named_supervisor(tree, supervisor_for(tree, instance_name(who), strategy::one_for_one, specs_of(tree, p)),
                          restart::transient);
}

} // namespace stargate::internal
