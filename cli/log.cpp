#include "cli/log.hpp"

#include "libstargate/protocol/instant.hpp"
#include "libstargate/protocol/json.hpp"

#include <chrono>
#include <iostream>
#include <mutex>
#include <string>

namespace stargate::cli {

namespace {

log_format format_of_log = log_format::text;
log_level least_important = log_level::error;

void append(std::string& line, std::string_view name, std::string_view text) {
  line += line.empty() ? "{" : ",";
  line.append("\"").append(name).append("\":");
  std::string value;
  line += protocol::json::append_string(value, text) ? value : "\"(not UTF-8)\"";
}

std::string line_of(log_level level, std::string_view source, std::string_view text) {
  std::string line;
  if (format_of_log == log_format::json) {
    append(line, "time", protocol::format_instant(std::chrono::system_clock::now()));
    append(line, "level", name_of(level));
    append(line, "source", source.empty() ? "stargate" : source);
    append(line, "text", text);
    return line + "}\n";
  }
  line = "stargate: ";
  if (!source.empty())
    line.append(name_of(level)).append(": ").append(source).append(": ");
  return line.append(text).append("\n");
}

} // namespace

void set_log(log_format format, log_level least) {
  format_of_log = format;
  least_important = least;
}

void report(std::string_view text) {
  if (format_of_log == log_format::json)
    return log(log_level::info, {}, text);
  std::cerr << std::string{text} + "\n" << std::flush;
}

void log(log_level level, std::string_view source, std::string_view text) {
  static std::mutex one_line_at_a_time;
  if (!source.empty() && level < least_important)
    return;
  const auto line = line_of(level, source, text);
  const std::lock_guard guard{one_line_at_a_time};
  std::cerr << line << std::flush;
}

} // namespace stargate::cli
