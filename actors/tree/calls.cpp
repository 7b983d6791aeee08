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
  constexpr std::size_t enough = 3, most_mistyped = 2; // keys, letters
  std::size_t named = 0;
  const auto meant = role_keys::of(wrong);
  for (const auto& is : tree.plan.keys()) {
    const auto& topic = is.topic();
    const bool is_near =
      topic == wrong.topic
      || (meant && meant->role() == is.role() && edit_distance(topic.topic, wrong.topic.topic) <= most_mistyped);
    if (!is_near)
      continue;
    near += (near.empty() ? "; there is '" : "', '") + is.socket();
    if (++named == enough)
      break;
  }
  return near.empty() ? near : near + "'";
}

} // namespace stargate::internal
