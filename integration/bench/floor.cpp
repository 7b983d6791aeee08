// The floor: a bare libwebsockets client that does as little as a client can. Frames are encoded beforehand, receipts
// are only counted, an acknowledgement is cut out of the frame that is acknowledged. One thread, no actor, no check.
//
//     stargate-floor produce|pingpong|consume|read PORT PATH COUNT SIZE OUTSTANDING
//
// PATH is the handshake's, such as /ws/v2/producer/persistent/public/default/t. It prints one JSON object.
#include <libwebsockets.h>

#include <openssl/evp.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

struct client {
  std::string mode;
  std::size_t count = 0, outstanding = 1;
  std::string frame;
  std::size_t sent = 0, received = 0;
  std::deque<std::string> acknowledgements;
  std::string partial;
  std::vector<unsigned char> buffer;
  std::vector<long> latencies; // of ping-pong, in microseconds
  clock_type::time_point began, last_sent;
  double processor = 0;
  bool done = false, failed = false;
} c;

double processor_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
         + static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

bool is_producer() {
  return c.mode == "produce" || c.mode == "pingpong";
}

bool write(lws* wsi, std::string_view text) {
  c.buffer.resize(LWS_PRE + text.size());
  std::memcpy(c.buffer.data() + LWS_PRE, text.data(), text.size());
  return lws_write(wsi, c.buffer.data() + LWS_PRE, text.size(), LWS_WRITE_TEXT) >= 0;
}

int on_event(lws* wsi, lws_callback_reasons reason, void*, void* in, std::size_t size) {
  switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      c.began = clock_type::now();
      c.processor = processor_seconds();
      if (is_producer())
        lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      for (int i = 0; i < 64 && lws_partial_buffered(wsi) == 0; ++i) {
        if (is_producer()) {
          if (c.sent == c.count || c.sent - c.received >= c.outstanding)
            return 0;
          c.last_sent = clock_type::now();
          ++c.sent;
          if (!write(wsi, c.frame))
            return -1;
        } else {
          if (c.acknowledgements.empty())
            return 0;
          if (!write(wsi, c.acknowledgements.front()))
            return -1;
          c.acknowledgements.pop_front();
        }
      }
      lws_callback_on_writable(wsi);
      break;
    case LWS_CALLBACK_CLIENT_RECEIVE: {
      c.partial.append(static_cast<const char*>(in), size);
      if (lws_is_final_fragment(wsi) == 0 || lws_remaining_packet_payload(wsi) != 0)
        break;
      ++c.received;
      if (is_producer()) {
        if (c.partial.find("\"ok\"") == std::string::npos)
          c.failed = true;
        if (c.mode == "pingpong")
          c.latencies.push_back(static_cast<long>(
            std::chrono::duration_cast<std::chrono::microseconds>(clock_type::now() - c.last_sent).count()));
      } else {
        const auto at = c.partial.find("\"messageId\":\"") + 13;
        c.acknowledgements.push_back("{\"messageId\":\"" + c.partial.substr(at, c.partial.find('"', at) - at) + "\"}");
      }
      c.partial.clear();
      if (c.received == c.count) {
        c.done = true;
        lws_cancel_service(lws_get_context(wsi));
      } else {
        lws_callback_on_writable(wsi);
      }
      break;
    }
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
      c.failed = c.failed || !c.done; // it also comes when the context goes
      c.done = true;
      break;
    default: break;
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: stargate-floor produce|pingpong|consume|read PORT PATH COUNT SIZE OUTSTANDING\n");
    return 2;
  }
  c.mode = argv[1];
  c.count = std::strtoull(argv[4], nullptr, 10);
  c.outstanding = c.mode == "pingpong" ? 1 : std::strtoull(argv[6], nullptr, 10);
  const std::string payload(std::strtoull(argv[5], nullptr, 10), 'x');
  std::string text((payload.size() + 2) / 3 * 4 + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(payload.data()),
                  static_cast<int>(payload.size()));
  text.pop_back();
  c.frame = R"({"payload":")" + text + R"(","context":"1"})";

  lws_set_log_level(0, nullptr);
  const lws_protocols protocols[] = {{"floor", on_event, 0, 65'536, 0, nullptr, 0},
                                     {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = protocols;
  info.pt_serv_buf_size = 65'536;
  auto* context = lws_create_context(&info);
  const std::string host = std::string{"127.0.0.1:"} + argv[2];
  lws_client_connect_info to{};
  to.context = context;
  to.address = "127.0.0.1";
  to.port = std::atoi(argv[2]);
  to.path = argv[3];
  to.host = host.c_str();
  to.origin = host.c_str();
  to.local_protocol_name = "floor";
  to.ietf_version_or_minus_one = -1;
  if (context == nullptr || lws_client_connect_via_info(&to) == nullptr) {
    std::fprintf(stderr, "stargate-floor: no connection\n");
    return 1;
  }
  while (!c.done)
    lws_service(context, 0);
  const double seconds = std::chrono::duration<double>(clock_type::now() - c.began).count();
  const double processor = processor_seconds() - c.processor;
  std::sort(c.latencies.begin(), c.latencies.end());
  const long median = c.latencies.empty() ? 0 : c.latencies[c.latencies.size() / 2];
  std::printf("{\"messages\":%zu,\"seconds\":%.4f,\"rate\":%.1f,\"processorMicros\":%.3f,\"medianMicros\":%ld}\n",
              c.received, seconds, static_cast<double>(c.received) / seconds,
              processor * 1e6 / static_cast<double>(c.received), median);
  lws_context_destroy(context);
  return c.failed ? 1 : 0;
}
