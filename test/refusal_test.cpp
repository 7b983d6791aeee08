#include "libstargate/protocol/refusal.hpp"

#include <catch2/catch.hpp>

#include <string>

using stargate::errc, stargate::protocol::permanent_code, stargate::protocol::reason_in_answer;

namespace {

std::string answer(const std::string& body, const std::string& more = {}) {
  return "HTTP/1.1 500 Server Error\r\nDate: now\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more
         + "\r\n" + body;
}

std::string page(const std::string& message) {
  return "<html>\n<head>\n<title>Error 500</title>\n</head>\n<body><h2>HTTP ERROR 500</h2>\n<table>\n"
         "<tr><th>URI:</th><td>/ws/v2/producer</td></tr>\n<tr><th>STATUS:</th><td>500</td></tr>\n<tr><th>MESSAGE:</"
         "th><td>"
         + message + "</td></tr>\n</table>\n</body>\n</html>\n";
}

} // namespace

TEST_CASE("a broker's reason is read out of its page, or out of JSON") {
  CHECK(reason_in_answer(answer(page("Topic was already terminated"))) == "Topic was already terminated");
  CHECK(reason_in_answer(answer(page("a &lt;b&gt; &amp;&quot;c&#39; &amp;lt;"))) == "a <b> &\"c' &lt;");
  CHECK(reason_in_answer(answer(
          page("Failed to create producer/consumer: {&quot;errorMsg&quot;:&quot;Topic &apos;x&apos; reached "
               "max \"producers\" limit&quot;,&quot;reqId&quot;:2068, &quot;remote&quot;:&quot;127.0.0.1&quot;}")))
        == "Topic 'x' reached max \"producers\" limit");
  CHECK(reason_in_answer(answer(R"({"reason":"Namespace not found"})")) == "Namespace not found");
  CHECK(reason_in_answer(answer(R"({"servlet":"x","message":"No","status":"500"})")) == "No");
  CHECK(
    reason_in_answer("HTTP/1.1 500 X\r\ncontent-length:" + std::to_string(page("no").size()) + "\r\n\r\n" + page("no"))
    == "no");
}

TEST_CASE("what goes into a log is one printable line of bounded length") {
  CHECK(reason_in_answer(answer(page("a\r\nb\x1b[2Jc\xff"))) == "a  b [2Jc ");
  CHECK(reason_in_answer(answer(page(std::string(5000, 'x')))) == std::string(300, 'x') + "...");
}

TEST_CASE("what stands behind the answer's own length is not its reason") {
  CHECK(reason_in_answer(answer("") + page("of somebody else")).empty());
  CHECK(reason_in_answer("HTTP/1.1 500 X\r\n\r\n" + page("without a length")).empty());
  auto cut = answer(page("of this"));
  cut.resize(cut.find("of this") + 3);
  CHECK(reason_in_answer(cut).empty());
}

TEST_CASE("an answer without a reason, or that is none, gives none") {
  for (const std::string& text :
       {std::string{}, std::string{"HTTP/1.1 500"}, std::string{"HTTP/1.1 500 X\r\n"}, answer("plain text"),
        answer("{"), answer("[1]"), answer(R"({"reason":7})"),
        std::string{"HTTP/1.1 500 X\r\nContent-Length: 99999999999999999999\r\n\r\n{}"},
        std::string{"GET / HTTP/1.1\r\nAuthorization: Bearer secret\r\nContent-Length: 9\r\n\r\n"},
        std::string(70'000, '{')})
    CHECK(reason_in_answer(text).empty());
}

TEST_CASE("what will not change by itself is told from what may") { // in the words of Pulsar 4.0.0 and 4.2.0
  for (
    const auto* permanent :
    {"org.apache.pulsar.broker.service.schema.exceptions.IncompatibleSchemaException: Producers cannot connect or send "
     "message without a schema to topics with a schemawhen SchemaValidationEnforced is enabled",
     "java.lang.IllegalArgumentException: V1 topic names (with cluster component) are no longer supported.",
     "java.lang.IllegalArgumentException: Invalid topic name format",
     "Illegal topic partition name persistent://public/default/parts-partition-7 with max allowed 3 partitions",
     "org.apache.pulsar.client.api.PulsarClientException: The partitioned topic startMessageId is illegal",
     "Failed to create reader: Illegal base64 character 21",
     "Failed to create reader: java.lang.IndexOutOfBoundsException: readerIndex(1) + length(1) exceeds writerIndex(1)",
     "Failed to create reader: java.lang.IllegalStateException: Some required fields are missing",
     "Failed to create reader: java.lang.IllegalArgumentException: Encountered a malformed varint."})
    CHECK(permanent_code(permanent) == errc::bad_request);
  CHECK(permanent_code("org.apache.pulsar.broker.service.BrokerServiceException$TopicTerminatedException: Topic was "
                       "already terminated")
        == errc::topic_terminated);
  for (const auto* permanent : {"Namespace not found", "Topic not found persistent://public/nocreate/x"})
    CHECK(permanent_code(permanent) == errc::not_found);
  for (const auto* passing :
       {"", "Topic is temporarily unavailable", "Exclusive consumer is already connected",
        "Subscription is of different type", "Topic 'persistent://a/b/x' reached max producers limit"})
    CHECK(permanent_code(passing) == errc::none);
}
