#include "actors/tree/calls.hpp"

#include "actors/shared/edit_distance.hpp"

#include <stargate/error.hpp>

namespace stargate::internal {

caf::error no_tree() {
  return make_error(errc::stopping, "this handle holds no tree: it is empty, or was moved from");
}

caf::error may_not_wait(const tree_context* tree, std::string_view call) {
  if (tree == nullptr)
    return no_tree();
  return tree->world->may_wait() ? caf::error{} : would_block(call);
}

std::string what_is_there(const tree_context& tree, const registry_key& wrong) {
  std::string near;
  constexpr std::size_t enough = 3;
  std::size_t named = 0;
  for (const auto& socket : tree.plan.sockets()) {
    const auto is = parse_registry_key(socket);
    if (!is || named == enough)
      continue;
    const auto kind = [](const registry_key& k) { return k.component.substr(0, k.component.find('/')); };
    if (is->topic != wrong.topic && (kind(*is) != kind(wrong) || edit_distance(is->topic.topic, wrong.topic.topic) > 2))
      continue;
    near += (near.empty() ? "; there is '" : "', '") + socket;
    ++named;
  }
  return near.empty() ? near : near + "'";
}

} // namespace stargate::internal
