// How a tree is started: by a thread that waits, by one that does not, and by a supervisor.
#include "actors/shared/outcome.hpp"
#include "actors/shared/tree_context.hpp"
#include "actors/tree/starter.hpp"
#include "actors/tree/tree_guard.hpp"
#include "libstargate/connection/tls.hpp"
#include "libstargate/protocol/option_table.hpp"

#include <stargate/init.hpp>
#include <stargate/tree.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace stargate {

namespace {

constexpr std::chrono::minutes patience{10}; // for a tree to stand; each of its actors bounds its own start

/// A tree that is about to be started.
caf::expected<internal::tree_context_ptr> describe_tree(caf::actor_system& system, options o,
                                                        std::shared_ptr<internal::environment> world) {
  init_caf(); // it was done before `main`, in a file that a static library leaves out where nobody asks for it
  if (auto wrong = validate(o))
    return wrong;
  internal::tree_context_ptr result;
  try {
    result = std::make_shared<internal::tree_context>(system, std::move(o), std::move(world));
  } catch (const connection::bad_tls_settings& e) {
    return make_error(errc::invalid_option, e.what());
  } catch (const std::exception& e) {
    return make_error(errc::start_failed, e.what());
  }
  result->world->on_tree(result);
  for (const auto& doubt : protocol::doubts(result->description))
    result->say(log_level::warning, result->description.name, doubt);
  result->expect_all();
  return result;
}

/// What a tree that stands still needs.
caf::error complete(const std::shared_ptr<internal::tree_guard>& guard) {
  try {
    if (!guard->tree_context->description.inspection_socket.empty())
      guard->inspection = std::make_unique<internal::inspection_server>(guard->tree_context, guard->supervisor);
    if (guard->tree_context->description.monitor.port && guard->tree_context->world->has_threads())
      guard->monitoring = std::make_unique<internal::monitoring>(guard->tree_context, guard->supervisor);
  } catch (const std::exception& e) {
    return make_error(errc::invalid_option, e.what()); // and the tree is stopped with the last handle to it
  }
  return {};
}

} // namespace

caf::expected<tree> start(caf::actor_system& system, options o) {
  return internal::start_in(system, std::move(o), {});
}

caf::expected<tree> internal::start_in(caf::actor_system& system, options o, std::shared_ptr<environment> world) {
  const auto context = describe_tree(system, std::move(o), std::move(world));
  if (!context)
    return context.error();
  if (!(*context)->world->may_wait())
    return internal::would_block("stargate::start");
  const auto standing = std::make_shared<internal::outcome<caf::error>>();
  const auto until = (*context)->now() + patience;
  const auto guard = internal::begin_to_start(*context, [standing](caf::error how, auto mine) {
    mine.reset(); // whoever waits may let go of the last handle at once
    standing->set(std::move(how));
  });
  if (!guard)
    return guard.error();
  const auto failure = standing->wait(*(*context)->world, until);
  if (!failure || *failure)
    return failure ? *failure : make_error(errc::start_failed, "the tree did not stand in time");
  if (auto wrong = complete(*guard))
    return wrong;
  return (*context)->weak().lock();
}

void start(caf::actor_system& system, options o, std::function<void(caf::expected<tree>)> then) {
  const auto told = [&](const caf::error& why) {
    system.spawn([=](caf::event_based_actor*) { then(why); }); // never on the caller's own stack
  };
  const auto context = describe_tree(system, std::move(o), {});
  if (!context)
    return told(context.error());
  const auto guard = internal::begin_to_start(*context, [then](caf::error how, auto mine) {
    if (!how)
      how = complete(mine);
    if (how)
      return then(std::move(how));
    auto started = mine->tree_context->weak().lock();
    mine.reset(); // from here on the tree is the caller's
    then(std::move(started));
  });
  if (!guard)
    told(guard.error());
}

child_spec tree_spec(options o, child_id id, restart restart) {
  return internal::tree_spec_in(std::move(o), std::move(id), restart, {});
}

child_spec internal::tree_spec_in(options o, child_id id, restart when, std::shared_ptr<environment> world) {
  child_spec spec;
  spec.id = id.empty() ? o.name : std::move(id);
  spec.start = [o = std::move(o), world = std::move(world)](const start_context& context) -> caf::expected<caf::actor> {
    const auto tree = describe_tree(context.system, o, world);
    if (!tree)
      return tree.error();
    const auto guard = tree_guard::make(*tree, context.supervisor);
    if (!guard)
      return guard.error();
    if (auto wrong = complete(*guard))
      return wrong; // and the tree is stopped with its guard
    // Nobody else may hold it. It goes with the tree, from which nothing is left then.
    caf::actor_cast<caf::abstract_actor*>((*guard)->supervisor)->attach_functor([guard = *guard] {
      guard->clean_up();
    });
    return (*guard)->supervisor;
  };
  spec.restart = when;
  spec.type = child_type::supervisor;
  spec.start_timeout = patience;
  return spec;
}

tree find_tree(const caf::actor_system& system, std::string_view name) {
  const auto guard = internal::tree_guard::find(system, name);
  return guard ? guard->tree_context->weak().lock() : tree{};
}

} // namespace stargate
