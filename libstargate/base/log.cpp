#include <stargate/log.hpp>

#include <caf/logger.hpp>

#include <string>
#include <thread>

namespace stargate {

std::string_view name_of(log_level level) noexcept {
  switch (level) {
    case log_level::debug: return "debug";
    case log_level::info: return "info";
    case log_level::warning: return "warning";
    case log_level::error: return "error";
  }
  return "error";
}

log_hook caf_log(caf::actor_system& system) {
#if STARGATE_CAF_1
  (void)system;
  return [](log_level level, std::string_view source, std::string_view text) {
    constexpr unsigned levels[] = {caf::log::level::debug, caf::log::level::info, caf::log::level::warning,
                                   caf::log::level::error};
    caf::logger::log(levels[static_cast<int>(level)], "stargate", "{}: {}", source, text);
  };
#else
  return [&system](log_level level, std::string_view source, std::string_view text) {
    constexpr unsigned levels[] = {CAF_LOG_LEVEL_DEBUG, CAF_LOG_LEVEL_INFO, CAF_LOG_LEVEL_WARNING, CAF_LOG_LEVEL_ERROR};
    const auto chosen = levels[static_cast<int>(level)];
    auto& logger = system.logger();
    if (logger.accepts(chosen, caf::atom("stargate")))
      // CAF's macro would put into the program where this file was compiled.
      logger.log(caf::logger::event{chosen, __LINE__, caf::atom("stargate"), "stargate::caf_log", "caf_log", "log.cpp",
                                    std::string{source} + ": " + std::string{text}, std::this_thread::get_id(),
                                    caf::actor_id{0}, caf::make_timestamp()});
  };
#endif
}

} // namespace stargate
