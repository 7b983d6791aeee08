/// @file
/// What is to run on topics, now: what the description began with, and what was added and removed since.
#pragma once

#include "actors/shared/producing.hpp"
#include "actors/shared/roles.hpp"

#include <stargate/error.hpp>
#include <stargate/options.hpp>
#include <stargate/supervisor.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace stargate::internal {

/// A tree is wired by its plan, so that what was added to it outlives the restart of any of its supervisors. The plan
/// is right at any time: what would be wrong, or twice, is refused. A producer for each dead-letter topic that somebody
/// needs and nobody described is part of it, and goes with the last who needs it.
/// @par Threads any thread
class plan {
public:
  /// Of an instance of a template: the template's name and the argument.
  using instance = std::pair<std::string, std::string>;

  /// What is to run below the supervisor of all topics, as one child of it.
  struct item {
    std::string id;                  ///< Of the child.
    std::uint64_t version = 0;       ///< Another one is another child, though its id is the same.
    std::optional<instance> made_of; ///< Set for an instance of a template.
    pipelines what;                  ///< One producer, consumer or reader; of an instance any number.
    std::vector<role_keys> keys{};   ///< Of each producer, consumer and reader.
    std::optional<child_spec> own{}; ///< Set for the application's own child: then there is nothing else.
    bool is_drained = false;         ///< It is not to run, until it is renewed.
    bool is_first = false;           ///< It was there from the beginning.
    bool answers_vitals = true;      ///< Whether it, and what is below it, may be asked `report_vitals`.

    [[nodiscard]] std::vector<std::string> sockets() const;
  };
  using items = std::vector<std::shared_ptr<const item>>;

  plan(const options& with, pipelines first, std::map<std::string, pipeline_template> templates);

  /// In the order in which they are to be started.
  [[nodiscard]] items now() const;
  /// Of everything that is to run.
  [[nodiscard]] std::vector<role_keys> keys() const;

  /// Gives what was added, or nothing for nothing.
  /// @par Errors errc::invalid_option with every mistake, such as a topic that has a producer already: then nothing was
  /// added
  [[nodiscard]] caf::expected<items> add(const pipelines& what);
  /// Adds what a template makes of an argument.
  /// @par Errors errc::child_not_found for an unknown template, errc::start_failed for one that throws,
  /// errc::child_running when it is there; as `add`
  [[nodiscard]] caf::expected<items> add(const instance& who);

  /// This producer, consumer or reader, or the instance that it is part of, is another one from now on,
  /// though nothing of it has changed. Gives it; nothing when there is none.
  [[nodiscard]] items renew(const role_keys& who);
  /// The same, and it is not to run, until it is renewed. One that is drained stays as it is.
  [[nodiscard]] items drain(const role_keys& who);

  /// Adds a child of the application's own.
  /// @par Errors errc::invalid_child_spec; errc::child_present when another has its id
  [[nodiscard]] caf::expected<items> add(const child_spec& own, bool answers_vitals);
  /// Forgets a child of the application's own. False when there is none.
  bool remove_own(const child_id& id);

  /// Takes back what `add` gave.
  void remove(const items& what);
  /// Forgets this producer, consumer or reader. False when it was not added by itself.
  bool remove(const role_keys& who);
  /// Forgets an instance. False when there is none.
  bool remove(const instance& who);

  /// The tree has ended: forgets everything, so that what handlers hold is let go.
  void clear();

  /// What callers need to know of a topic's producer; empty where there is none.
  [[nodiscard]] std::shared_ptr<producing> producing_to(const topic_name& topic) const;

private:
  struct topic_hash {
    [[nodiscard]] std::size_t operator()(const topic_name& t) const;
  };

  items replace(const role_keys& who, bool is_drained);
  caf::error check_and_take(items next);
  [[nodiscard]] std::shared_ptr<const item> make_item(pipelines what, std::optional<instance> made_of);
  [[nodiscard]] std::shared_ptr<const item> find(const instance& who) const;

  const options with_; ///< The tree's own options.
  mutable std::shared_mutex mutex_;
  std::map<std::string, pipeline_template> templates_;
  items described_; ///< As it was added,
  items needed_;    ///< and the producers of dead letters that follow from it.
  std::uint64_t last_version_ = 0;
  std::unordered_map<topic_name, std::shared_ptr<producing>, topic_hash> producing_;
};

/// The name of the supervisor of an instance.
[[nodiscard]] std::string instance_name(const plan::instance& who);

} // namespace stargate::internal
