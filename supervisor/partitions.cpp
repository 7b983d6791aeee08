#include <stargate/partitions.hpp>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace stargate {

using namespace compat;

struct partitions::table {
  table(child_spec spec, std::size_t count) : each{std::move(spec)}, actors(std::max<std::size_t>(count, 1)) {}

  const child_spec each;
  std::mutex mutex;
  std::vector<caf::actor_addr> actors; // guarded by mutex; addresses, which keep nobody alive
};

partitions::partitions(child_spec each, std::size_t count) : table_{std::make_shared<table>(std::move(each), count)} {}

std::size_t partitions::size() const {
  return table_->actors.size();
}

caf::actor partitions::at(std::size_t index) const {
  const std::lock_guard guard{table_->mutex};
  auto who = caf::actor_cast<caf::actor>(table_->actors[index % table_->actors.size()]);
  return who && has_ended(who) ? caf::actor{} : who;
}

supervisor_options partitions::supervisor(supervisor_options with) const {
  with.strategy = strategy::one_for_one;
  with.children.clear();
  for (std::size_t i = 0; i < size(); ++i) {
    auto spec = table_->each;
    spec.id += "/" + std::to_string(i);
    if (spec.start) // without one, the supervisor refuses it
      spec.start = [table = table_, i](const start_context& context) {
        auto here = context;
        here.argument = i;
        auto made = table->each.start(here);
        if (made) {
          const std::lock_guard guard{table->mutex};
          table->actors[i] = *made ? (*made).address() : caf::actor_addr{};
        }
        return made;
      };
    with.children.push_back(std::move(spec));
  }
  return with;
}

} // namespace stargate
