/// @file
/// What systemd is told of a service (`Type=notify`); nothing happens where none asks.
#pragma once

#include <string>

namespace stargate::cli {

/// Sends a state to whoever started the command, such as `READY=1`. @par Source sd_notify(3)
void notify(const std::string& state);

/// Tells, if it is to be told, that the command is alive; call it often. @par Threads one
void notify_watchdog();

} // namespace stargate::cli
