/// @file
/// The description of a tree in JSON, as `stargate run` takes it.
#pragma once

#include <stargate/error.hpp>
#include <stargate/key.hpp>
#include <stargate/options.hpp>

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace stargate::cli {

/// What a description says that a consumer or reader does with a message.
struct shell_command {
  std::string text;
  std::optional<topic_name> produce_to; ///< Where its output goes.
  std::chrono::milliseconds limit{0};   ///< Its handler_timeout; 0 is none.
};
using handler_maker = std::function<handler_factory(shell_command)>;

/// A description that was read.
struct description {
  options tree;
  /// One of the tree's producers, consumers or readers, and how it was written, so that two descriptions can be
  /// compared.
  struct part {
    registry_key key;
    pipelines what;
    std::string text;
  };
  std::map<std::string, part> parts{}; ///< By the text of their keys.
  std::string rest{};                  ///< How everything else was written.
};

/// Adds what a description says to options.
/// @param file for errors
/// @par Errors errc::invalid_option with every mistake in it
[[nodiscard]] caf::expected<description> read_description(const std::string& text, const std::string& file,
                                                          const options& into, const handler_maker& make_handler);

/// What to remove and then to add so that what runs by `now` runs by `next`. A part that is written otherwise is both.
struct changes {
  std::vector<const description::part*> removed, added;
  [[nodiscard]] bool empty() const { return removed.empty() && added.empty(); }
};
[[nodiscard]] changes changes_between(const description& now, const description& next);

/// All that some parts describe.
[[nodiscard]] pipelines all_of(const std::vector<const description::part*>& parts);

} // namespace stargate::cli
