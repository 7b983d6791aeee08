// How jemalloc keeps memory for a program that runs for long: what nobody needs goes back to the system after a second, not
// ten: thousands of pipelines that connect at once are a tenth smaller, and streams cost the same. jemalloc looks for this name (jemalloc(3), TUNING);
// the environment's MALLOC_CONF goes first.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:1000";
}
