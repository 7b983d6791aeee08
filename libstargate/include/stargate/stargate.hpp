/// @file
/// Everything: a client of Apache Pulsar's WebSocket API that is a supervision tree of CAF actors.
#pragma once

#include <stargate/admin.hpp>
#include <stargate/caf.hpp>
#include <stargate/error.hpp>
#include <stargate/handler.hpp>
#include <stargate/init.hpp>
#include <stargate/key.hpp>
#include <stargate/log.hpp>
#include <stargate/message.hpp>
#include <stargate/options.hpp>
#include <stargate/registry.hpp>
#include <stargate/supervisor.hpp>
#include <stargate/temporary.hpp>
#include <stargate/tracing.hpp>
#include <stargate/tree.hpp>
#include <stargate/version.hpp>
#include <stargate/vitals.hpp>
