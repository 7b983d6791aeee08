/// @file
/// What a shared library of Stargate exports: what the public headers declare, and nothing else.
#pragma once

/// Stands in front of the name of a namespace, in every public header: what is declared in that block is exported.
#if defined(__GNUC__)
#define STARGATE_API [[gnu::visibility("default")]]
#else
#define STARGATE_API
#endif
