// How jemalloc keeps memory for a process that runs one world after another on one thread: in one arena, given back to the
// system never. jemalloc looks for this name (jemalloc(3), TUNING).
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "narenas:1,tcache_max:65536,dirty_decay_ms:-1,muzzy_decay_ms:-1";
}
