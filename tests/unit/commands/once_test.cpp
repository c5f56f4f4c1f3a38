// --once while another process is at the payment: its row is judged when nobody works on it.
#include "commands/once.h"

#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/folder.h"
#include "wallet/spool.h"

namespace paycurl {
namespace {

constexpr Millis kNow = 1'800'000'000'000;

class Ears : public Audience {
 public:
  Result<> prepare() override { return {}; }
  Result<> head(const http::Head& head, HeadRole) override {
    shown += head.raw;
    return {};
  }
  Result<> body(std::string_view bytes) override {
    shown += bytes;
    return {};
  }
  bool start_over() override { return false; }
  Result<> message(std::string_view) override { return {}; }
  void offers(const std::vector<Offer>&, const Offer*) override {}
  void hide(const std::string&) override {}
  void paying(const Row&) override {}
  void receipt(const Receipt&) override {}
  void payment_event(std::string_view, const Json&) override {}
  void note(const std::string&) override {}
  std::string shown;
};

/// Two processes of one journal: this one, and the other that pays first.
struct Two {
  test::Folder folder;
  Database database = std::move(**Database::open(folder / "state", true));
  Ledger ours{database, folder / "state", [] { return kNow; }};
  Database other = std::move(**Database::open(folder / "state", false));
  std::optional<Ledger> theirs{std::in_place, other, folder / "state", [] { return kNow; }};
  Ears ears;
  Row row;
  int paid = 0, resumed = 0;
  bool comes_to_nothing = false, finished_while_paying = false;

  Two() {
    row.id = "0a";
    row.time = kNow;
    row.url = "https://a.example/x";
    row.intent = "charge";
    row.paid.amount = 7;
    row.once = "key";
    row.valid_until = kNow + 25'000;
    row.request = RecordedRequest{{}, {}, {}, true};
    REQUIRE(theirs->intend(row, [] { return Result<>(); }).has_value());
    REQUIRE(theirs->sign(row.seq, "d", "{}", std::nullopt).has_value());
  }
  void they_deliver(const std::string& body) {
    auto spool = *Spool::create(folder / "state", row.id);
    spool.write(body);
    row.status = PaymentStatus::settled;
    row.http_status = 200;
    row.body_type = "text/plain";
    row.body_size = spool.keep(kNow);
    REQUIRE(theirs->answer(row, {}).has_value());
    theirs->release(row.seq);
  }
  OnceOutcome run(std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    const auto pay = [&] {
      ++paid;
      Outcome outcome;
      if (finished_while_paying) {
        they_deliver("goods");
        outcome.error = Error{Kind::outcome_unknown, "the key is held", "", "once"};
      }
      return outcome;
    };
    // What Flow::resume says of a payment that another process finished.
    const auto resume = [&](const Row& of) {
      ++resumed;
      Outcome outcome;
      if (comes_to_nothing) {
        outcome.error = Error{Kind::rejected, "it did not settle"};
        return outcome;
      }
      they_deliver("goods");
      outcome.row = *ours.find(of.id);
      outcome.payment = outcome.row->status;
      return outcome;
    };
    const auto journal = [&] { return Result<Ledger*>(&ours); };
    return pay_once({"key", folder / "state", patience, journal, pay, resume, ears});
  }
};

TEST_CASE("a payment that another process finishes meanwhile is printed, and not paid again") {
  Two two;
  two.theirs->release(two.row.seq);  // it died, and another took it up behind our back
  const OnceOutcome done = two.run();
  REQUIRE_FALSE(done.outcome.error.has_value());
  CHECK(done.again);
  CHECK(two.ears.shown == "HTTP/1.1 200\r\nContent-Type: text/plain\r\n\r\ngoods");
  CHECK(two.resumed == 1);
  CHECK(two.paid == 0);
}

TEST_CASE("a settled payment whose body is still coming is not whole") {
  Two two;
  two.row.status = PaymentStatus::settled;
  REQUIRE(two.theirs->answer(two.row, {}).has_value());
  const OnceOutcome early = two.run(std::chrono::milliseconds(0));
  REQUIRE(early.outcome.error.has_value());
  CHECK(early.outcome.error->reason == "once");
  CHECK_FALSE(two.ours.at_rest(two.row)->has_value());
  two.they_deliver("goods");
  CHECK((*two.ours.at_rest(two.row))->body_size == 5);
  CHECK(two.run().outcome.body_size == 5);
  CHECK(two.paid + two.resumed == 0);
}

TEST_CASE("who only looks at a row is not at it, and who takes it up waits for them") {
  Two two;
  two.theirs->release(two.row.seq);
  REQUIRE(two.ours.at_rest(two.row)->has_value());
  struct flock byte {};
  byte.l_type = F_RDLCK;
  byte.l_whence = SEEK_SET;
  byte.l_start = two.row.seq;
  byte.l_len = 1;
  const std::string name = two.folder / "state" + "/payments.lock";
  const int reader = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::fcntl(reader, F_OFD_SETLK, &byte) == 0);
  CHECK_FALSE(two.theirs->is_in_flight(two.row.seq));
  std::thread leaves([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ::close(reader);
  });
  CHECK(two.theirs->claim(two.row.seq));
  leaves.join();
  CHECK(two.ours.is_in_flight(two.row.seq));
  CHECK_FALSE(two.ours.claim(two.row.seq));
}

TEST_CASE("a payment that came to nothing and cannot be written down is not tried for ever") {
  Two two;
  two.theirs->release(two.row.seq);
  two.comes_to_nothing = true;
  const OnceOutcome done = two.run();
  REQUIRE(done.outcome.error.has_value());
  CHECK(done.outcome.error->kind == Kind::rejected);
  CHECK(two.resumed == 2);
  CHECK(two.paid == 0);
}

TEST_CASE("another process finished it while this one asked for its offer") {
  Two two;
  two.theirs->release(two.row.seq);
  two.row.request->complete = false;
  REQUIRE(two.database.run("UPDATE payments SET request = '{\"complete\":false}'").has_value());
  two.finished_while_paying = true;
  const OnceOutcome done = two.run();
  CHECK_FALSE(done.outcome.error.has_value());
  CHECK(done.again);
  CHECK(two.paid == 1);
}

TEST_CASE("a lock file that cannot be used is said") {
  Two two;
  two.they_deliver("goods");
  const std::string name = two.folder / "state" + "/payments.lock";
  REQUIRE(::unlink(name.c_str()) == 0);
  REQUIRE(::mkdir(name.c_str(), 0700) == 0);
  Ledger blind(two.database, two.folder / "state", [] { return kNow; });
  CHECK(blind.at_rest(two.row).error().kind == Kind::internal);
}

}  // namespace
}  // namespace paycurl
