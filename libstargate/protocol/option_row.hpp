/// @file
/// Builds the rows of the table of options.
#pragma once

#include "libstargate/protocol/option_table.hpp"
#include "libstargate/protocol/option_values.hpp"

#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace stargate::protocol {

template <class T>
struct unwrapped {
  using type = T;
};
template <class T>
struct unwrapped<std::optional<T>> {
  using type = T;
};

template <class T>
const T* value_in(const T& member) {
  return &member;
}
template <class T>
const T* value_in(const std::optional<T>& member) {
  return member ? &*member : nullptr;
}

/// Builds one row from a way to reach the option; the calls that follow say what else there is to it.
template <class Options, class Get>
class row {
  using member = std::remove_cvref_t<std::invoke_result_t<Get, Options&>>;
  using type = typename unwrapped<member>::type;

public:
  row(std::string name, Get get, std::string help) : get_{get} {
    made_.name = std::move(name);
    made_.type = kind_of<type>();
    made_.expected = expected_of<type>();
    made_.help = std::move(help);
    made_.is_list = is_list<type>;
    made_.is_flag = std::is_same_v<type, bool>;
    made_.value = [get](const Options& o) -> std::optional<std::string> {
      const auto* set = value_in(get(o));
      return set != nullptr ? std::optional{text_of(*set)} : std::nullopt;
    };
    made_.query = [](const Options&) { return std::optional<std::string>{}; };
    made_.is_allowed = [](const Options&) { return true; };
    if constexpr (readable<type>)
      made_.set = [get](Options& o, const std::string& text) {
        auto& place = get(o);
        if constexpr (std::is_same_v<member, std::optional<type>>)
          return parse_value(text, place.emplace());
        else
          return parse_value(text, place);
      };
    made_.standard = made_.value(Options{}).value_or("the broker's");
    if (made_.standard.empty())
      made_.standard = "none";
  }

  row&& otherwise(std::string standard) && {
    made_.standard = std::move(standard);
    return std::move(*this);
  }
  /// Named so in the query string. What is false or empty is left out, as is what is not set.
  row&& parameter(std::string name) && {
    made_.parameter = std::move(name);
    made_.query = [get = get_](const Options& o) -> std::optional<std::string> {
      const auto* set = value_in(get(o));
      if (set == nullptr)
        return std::nullopt;
      if constexpr (std::is_same_v<member, bool> || is_list<member>)
        if (*set == member{})
          return std::nullopt;
      return parameter_of(*set);
    };
    return std::move(*this);
  }
  /// The query parameter goes out only when `when` holds; without, something else builds it.
  row&& parameter(std::string name, std::function<bool(const Options&)> when) && {
    auto query = std::move(*this).parameter(std::move(name)).made_.query;
    made_.query = [query = std::move(query), when = std::move(when)](const Options& o) {
      return when && when(o) ? query(o) : std::nullopt;
    };
    return std::move(*this);
  }
  /// Named so in the query string, with a value of its own making.
  row&& parameter_with(std::string name, std::function<std::optional<std::string>(const Options&)> query) && {
    made_.parameter = std::move(name);
    made_.query = std::move(query);
    return std::move(*this);
  }
  template <class Bound>
  row&& between(Bound low, Bound high, std::string words = {}) && {
    made_.allowed = words.empty() ? text_of(low) + " to " + text_of(high) : std::move(words);
    return std::move(*this).also([get = get_, low, high](const Options& o) {
      const auto* set = value_in(get(o));
      return set == nullptr || (*set >= type(low) && *set <= type(high));
    });
  }
  row&& not_empty() && {
    made_.allowed = "not empty";
    return std::move(*this).also([get = get_](const Options& o) {
      const auto* set = value_in(get(o));
      return set == nullptr || !set->empty();
    });
  }
  row&& allowed(std::string words, std::function<bool(const Options&)> check) && {
    made_.allowed += (made_.allowed.empty() ? "" : "; ") + std::move(words);
    return std::move(*this).also(std::move(check));
  }
  operator option_row<Options>() && { return std::move(made_); }

private:
  row&& also(std::function<bool(const Options&)> check) && {
    made_.is_allowed = [before = std::move(made_.is_allowed), check = std::move(check)](const Options& o) {
      return before(o) && check(o);
    };
    return std::move(*this);
  }

  Get get_;
  option_row<Options> made_;
};

template <class Options>
struct of {
  template <class Get>
  static row<Options, Get> option(std::string name, Get get, std::string help) {
    return {std::move(name), get, std::move(help)};
  }
  template <class Member>
  static auto option(std::string name, Member Options::*member, std::string help) {
    return option(
      std::move(name), [member](auto& o) -> auto& { return o.*member; }, std::move(help));
  }
};

} // namespace stargate::protocol
