// The same tools with GoogleTest: a handler alone.
#include <stargate/testing.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace {

/// Keeps what it gets until the day is over.
struct clerk : stargate::message_handler {
  stargate::disposition handle_message(const stargate::received_message& m) override {
    today.push_back(m);
    return stargate::disposition::continue_;
  }
  void close_the_day() {
    for (const auto& m : today)
      m.acknowledge();
  }
  std::vector<stargate::received_message> today;
};

} // namespace

TEST(Clerk, AcknowledgesWhenTheDayIsOver) {
  stargate::testing::world world;
  const auto payment = world.make_received({.payload = "payment 1"}, {.topic = "payments"});
  clerk c;
  EXPECT_EQ(c.handle_message(payment.message), stargate::disposition::continue_);
  EXPECT_EQ(payment.acknowledged(), 0U);
  c.close_the_day();
  EXPECT_EQ(payment.acknowledged(), 1U);
}
