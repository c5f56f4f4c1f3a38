// Prepaid sessions, one step at a time: what is sent next, what was paid in all, and what the
// journal says of it, whatever the server answers and wherever the process dies.
#include <doctest/doctest.h>

#include "tests/unit/methods/lightning_world.h"

namespace paycurl::lightning {
namespace {

using lightning_test::Crash;
using lightning_test::Ends;
using lightning_test::LightningWorld;
using lightning_test::MemoryWallet;
using lightning_test::receipt_of;
using lightning_test::refusal;
using lightning_test::said;
using lightning_test::served;
using lightning_test::told;

constexpr auto kLocked = "error busy";

std::uint64_t sats(Amount amount) {
  return std::stoull(amount.decimal()) / 1000;
}

Channel channel_of(LightningWorld& world) {
  return *world.process->channels.find("last");
}

/// An open session with a deposit of 40 sat at 2 sat a unit, as an earlier request left it.
std::string opened(LightningWorld& world, std::uint64_t spent = 0) {
  const Challenge offer = world.session(2, 40);
  Session& session = world.begin(offer);
  REQUIRE(told(session.pay(false)) == "open");
  const std::string id = session.channel()->id;
  REQUIRE(told(session.answered(served(receipt_of(id, spent)))) == "done");
  Row row = world.process->spender.row();
  row.status = PaymentStatus::settled;
  REQUIRE(world.process->ledger.answer(row, {}).has_value());
  world.restart();
  return id;
}

Json need_of(const std::string& id, std::uint64_t spent = 40) {
  return Json::object(
      {{"sessionId", id}, {"balanceSpent", std::to_string(spent)}, {"balanceRequired", "2"}});
}

/// What a message and a journal must not have.
void check_hidden(LightningWorld& world, const Error* error = nullptr) {
  const std::string journal = world.journal_text();
  for (const auto& [hash, preimage] : world.wallet.preimages) {
    CHECK(journal.find(to_hex(preimage)) == std::string::npos);
    if (error == nullptr) continue;
    CHECK(error->message.find(to_hex(preimage)) == std::string::npos);
    CHECK(error->hint.find(to_hex(preimage)) == std::string::npos);
  }
}

// ---- opening

TEST_CASE("a session is opened: return invoice, journal, deposit, in that order") {
  LightningWorld world;
  int asked = 0;
  world.wallet.before_pay = [&](const auto& question) {
    ++asked;
    CHECK(world.wallet.invoices.size() == 1);
    const Row row = world.row();
    CHECK(row.status == PaymentStatus::unknown);
    CHECK(row.session == question.hash);
    CHECK(row.reference == question.hash);
    CHECK(row.paid.amount == Amount(40'000));
    const Channel channel = channel_of(world);
    CHECK(channel.id == question.hash);
    CHECK(channel.status == ChannelStatus::opening);
    CHECK(channel.deposit == Amount(40'000));
    CHECK(!channel.opening.empty());
  };
  Session& session = world.begin(world.session(2, 40));
  const auto step = session.pay(false);
  REQUIRE(step.has_value());
  CHECK(told(*step) == "open");
  CHECK(asked == 1);
  CHECK(!step->alone);
  const std::string id = session.channel()->id;
  CHECK(said(*step, "preimage") == to_hex(world.wallet.preimages.at(id)));
  CHECK(step->credential.proof == said(*step, "preimage"));
  const auto back = read_invoice(said(*step, "returnInvoice"));
  REQUIRE(back.has_value());
  CHECK(!back->amount.has_value());
  CHECK(world.wallet.invoices.count(to_hex(back->payment_hash)) == 1);
  CHECK(back->expires >= world.now + Millis{30} * 86'400'000);
  CHECK(told(session.answered(served(receipt_of(id, 2)))) == "done");
  const Channel channel = channel_of(world);
  CHECK(channel.status == ChannelStatus::open);
  CHECK(channel.opening.empty());
  CHECK(sats(channel.deposit) == 40);
  CHECK(sats(channel.spent) == 2);
  CHECK(sats(channel.remaining()) == 38);
  CHECK(sats(world.wallet.money()) == 40);
  check_hidden(world);
}

TEST_CASE("no deposit is paid whose rest could not come back") {
  const auto refused = [](const std::function<void(MemoryWallet&)>& spoil, const char* reason) {
    LightningWorld world;
    spoil(world.wallet);
    const auto step = world.begin(world.session(2, 40)).pay(false);
    REQUIRE(!step.has_value());
    CHECK(step.error().reason == reason);
    CHECK(world.wallet.pays == 0);
    CHECK(world.rows().empty());
    CHECK(world.channels().empty());
  };
  refused([](auto& wallet) { wallet.return_msat = 40'000; }, "no_invoices");
  refused([](auto& wallet) { wallet.return_msat = 0; }, "no_invoices");
  refused([](auto& wallet) { wallet.return_prefix = "lnbc"; }, "no_invoices");
  refused([](auto& wallet) { wallet.return_expiry = 86'400; }, "no_invoices");
  refused([](auto& wallet) { wallet.return_prefix = "garbage"; }, "no_invoices");
  refused([](auto& wallet) { wallet.network = "mainnet"; }, "wrong_network");
  refused([](auto& wallet) { wallet.away = true; }, "away");
}

TEST_CASE("an idle time that outlasts the return invoice") {
  LightningWorld world;
  Challenge offer = world.session(2, 40);
  offer.request.set("idleTimeout", std::to_string(20 * 86'400));
  world.wallet.return_expiry = 20 * 86'400;
  CHECK(told(world.begin(offer).pay(false)) == "error no_invoices");
  CHECK(world.wallet.pays == 0);
  world.wallet.return_expiry.reset();
  CHECK(told(world.begin(offer).pay(false)) == "open");
}

TEST_CASE("a deposit over a limit: the wallet is asked for nothing that costs or stays") {
  const auto refused = [](LightningWorld& world, const char* reason, SessionChoice choice = {}) {
    CHECK(told(world.begin(world.session(2, 40), choice).pay(false)) ==
          std::string("error ") + reason);
    CHECK(world.wallet.pays == 0);
    CHECK(world.rows().empty());
    CHECK(world.channels().empty());
  };
  LightningWorld world;
  world.limits.max_spend = {{"39", "sat"}};
  refused(world, "max_spend");
  CHECK(world.wallet.invoices.empty());
  world.limits = {};
  SessionChoice choice;
  choice.deposit = "39";
  refused(world, "max_deposit", choice);
  CHECK(world.wallet.invoices.empty());
  choice.deposit = "40";
  CHECK(told(world.begin(world.session(2, 40), choice).pay(false)) == "open");
}

TEST_CASE("a day's limit on deposits") {
  LightningWorld world;
  world.prefix = world.wallet.return_prefix = "lnbc";
  world.wallet.network = "mainnet";
  world.limits.per_day = {{"39", "sat"}};
  world.restart();
  CHECK(told(world.begin(world.session(2, 40)).pay(false)) == "error per_day");
  CHECK(world.wallet.pays == 0);
  CHECK(world.rows().empty());
}

TEST_CASE("a deposit that the wallet did not pay leaves nothing behind") {
  for (const Ends ends : {Ends::failed, Ends::unsent}) {
    LightningWorld world;
    world.limits.max_spend = {{"40", "sat"}};
    world.wallet.ends = ends;
    const auto step = world.begin(world.session(2, 40)).pay(false);
    REQUIRE(!step.has_value());
    CHECK(step.error().kind == Kind::backend);
    CHECK(world.channels().empty());
    CHECK(world.counted().is_zero());
    CHECK(world.process->spender.signed_in_this_run().empty());
    world.wallet.ends = Ends::paid;
    CHECK(told(world.begin(world.session(2, 40)).pay(false)) == "open");
  }
}

TEST_CASE("a deposit whose end nobody tells stays in the journal, and no other is paid") {
  for (const Ends ends : {Ends::in_flight, Ends::lost}) {
    LightningWorld world;
    world.wallet.ends = ends;
    const auto step = world.begin(world.session(2, 40)).pay(false);
    REQUIRE(!step.has_value());
    CHECK(step.error().kind == Kind::outcome_unknown);
    check_hidden(world, &step.error());
    CHECK(channel_of(world).status == ChannelStatus::opening);
    CHECK(sats(world.counted()) == 40);
    world.restart();
    world.wallet.ends = Ends::paid;
    // Another request must not pay either.
    const auto next = world.begin(world.session(2, 40)).pay(false);
    REQUIRE(!next.has_value());
    CHECK(next.error().reason == (ends == Ends::lost ? "busy" : "in_flight"));
    CHECK(world.wallet.payments.size() <= 1);
    CHECK(sats(world.counted()) == 40);
  }
}

TEST_CASE("the answers to an opening") {
  struct Case {
    Session::Reply reply;
    std::string next;
    ChannelStatus status;
    bool open_end;  // what it is rebuilt from is still there
  };
  const std::vector<Case> cases{
      {served(), "done", ChannelStatus::open, false},
      {{}, "done", ChannelStatus::opening, true},
      {refusal(""), "error refused", ChannelStatus::opening, true},
      {refusal("verification-failed"), "error refused", ChannelStatus::opening, true},
      {refusal("insufficient-balance"), "error refused", ChannelStatus::opening, true},
      {refusal("session-not-found"), "error refused", ChannelStatus::opening, true},
      {refusal("session-closed"), "error refused", ChannelStatus::opening, true},
      {refusal("challenge-expired"), "error refused", ChannelStatus::opening, true},
      {refusal("", {}, 401), "error refused", ChannelStatus::opening, true},
      {refusal("", {}, 500), "error refused", ChannelStatus::opening, true},
      {refusal("", {}, 500, true), "error refused", ChannelStatus::opening, true},
      {refusal("verification-failed", {}, 402, true), "ask", ChannelStatus::open, false},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    LightningWorld world;
    Session& session = world.begin(world.session(2, 40));
    REQUIRE(told(session.pay(false)) == "open");
    auto reply = cases[i].reply;
    if (reply.status >= 400) reply.challenges = {world.session(2, 40)};
    const auto next = session.answered(reply);
    CHECK(told(next) == cases[i].next);
    if (!next) check_hidden(world, &next.error());
    const Channel channel = channel_of(world);
    CHECK(channel.status == cases[i].status);
    CHECK(!channel.opening.empty() == cases[i].open_end);
    CHECK(sats(world.wallet.money()) == 40);
    CHECK(world.wallet.pays == 1);
    CHECK(world.row().status == PaymentStatus::unknown);
  }
}

// ---- using

TEST_CASE("a request on the balance costs nothing and is in the journal") {
  LightningWorld world;
  const std::string id = opened(world, 2);
  Session& session = world.begin(world.session(2, 40));
  const auto step = session.pay(false);
  REQUIRE(step.has_value());
  CHECK(told(*step) == "bearer");
  CHECK(said(*step, "sessionId") == id);
  CHECK(said(*step, "preimage") == to_hex(world.wallet.preimages.at(id)));
  CHECK(world.row().session == id);
  CHECK(world.row().status == PaymentStatus::unknown);
  CHECK(world.row().paid.amount.is_zero());
  CHECK(told(session.answered(served(receipt_of(id, 4)))) == "done");
  CHECK(sats(channel_of(world).spent) == 4);
  CHECK(world.wallet.pays == 1);
  CHECK(sats(world.counted()) == 40);
  check_hidden(world);
}

TEST_CASE("the answers to a request on the balance") {
  struct Case {
    Session::Reply reply;
    bool low;  // less is left than a unit costs
    std::string next;
    ChannelStatus status;
    int paid;  // in all
  };
  const auto open = ChannelStatus::open;
  const std::vector<Case> cases{
      {served(), false, "done", open, 40},
      {{}, false, "done", open, 40},
      {refusal("insufficient-balance"), false, "topUp", open, 80},
      {refusal(""), true, "topUp", open, 80},
      {refusal("", {}, 402, true), true, "error rejected", open, 40},
      {refusal(""), false, "error rejected", open, 40},
      {refusal("verification-failed"), false, "error rejected", open, 40},
      {refusal("challenge-expired"), false, "bearer", open, 40},
      {refusal("unknown-challenge"), false, "bearer", open, 40},
      {refusal("session-closed"), true, "open", ChannelStatus::opening, 80},
      {refusal("session-not-found"), true, "open", ChannelStatus::opening, 80},
      {refusal("session-not-found"), false, "error refund_missing", ChannelStatus::lost, 40},
      {refusal("session-closed"), false, "error refund_missing", ChannelStatus::lost, 40},
      {refusal("", {}, 401), false, "error rejected", open, 40},
      {refusal("", {}, 500), true, "error refused", open, 40},
      {refusal("insufficient-balance", {}, 503), true, "error refused", open, 40},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    LightningWorld world;
    const std::string id = opened(world, cases[i].low ? 40 : 2);
    Session& session = world.begin(world.session(2, 40));
    REQUIRE(told(session.pay(false)) == "bearer");
    auto reply = cases[i].reply;
    if (reply.status >= 400) reply.challenges = {world.session(2, 40)};
    const auto next = session.answered(reply);
    CHECK(told(next) == cases[i].next);
    if (!next) check_hidden(world, &next.error());
    CHECK(channel_of(world).status == cases[i].status);
    CHECK(sats(world.wallet.money()) == static_cast<std::uint64_t>(cases[i].paid));
    CHECK(world.counted() == world.wallet.money());
    if (cases[i].next == "open") {
      const auto before = *world.process->channels.get(id);
      REQUIRE(before.has_value());
      CHECK(before->status == (reply.problem->type == "session-closed" ? ChannelStatus::closed
                                                                       : ChannelStatus::lost));
    }
  }
}

TEST_CASE("a session is only replaced once for a request, and not in a stream") {
  LightningWorld world;
  opened(world, 40);
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  REQUIRE(told(session.answered(refusal("session-not-found", {world.session(2, 40)}))) == "open");
  CHECK(told(session.answered(refusal("session-not-found", {world.session(2, 40)}))) ==
        "error refused");
  CHECK(sats(world.wallet.money()) == 80);
}

TEST_CASE("a replacement that would cost more is not opened") {
  LightningWorld world;
  opened(world, 40);
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  CHECK(told(session.answered(refusal("session-not-found", {world.session(3, 40)}))) ==
        "error rejected");
  CHECK(sats(world.wallet.money()) == 40);
}

TEST_CASE("a server that only asks for fresh challenges is left") {
  LightningWorld world;
  opened(world);
  Session& session = world.begin(world.session(2, 40));
  auto step = told(session.pay(false));
  int rounds = 0;
  while (step == "bearer" && rounds < 50) {
    ++rounds;
    step = told(session.answered(refusal("challenge-expired", {world.session(2, 40)})));
  }
  CHECK(step == "error refused");
  CHECK(rounds < 20);
  CHECK(world.wallet.pays == 1);
}

// ---- topping up

TEST_CASE("a top-up before a request: committed, paid, proved, then the request") {
  LightningWorld world;
  const std::string id = opened(world, 40);
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  std::string hash;
  world.wallet.before_pay = [&](const auto& question) {
    hash = question.hash;
    CHECK(sats(world.row().paid.amount) == 30);
    CHECK(world.row().status == PaymentStatus::unknown);
    CHECK(!channel_of(world).opening.empty());
    CHECK(sats(channel_of(world).deposit) == 40);
  };
  const auto next = session.answered(refusal("insufficient-balance", {world.session(2, 30)}));
  REQUIRE(next.has_value());
  REQUIRE(next->has_value());
  CHECK(told(**next) == "topUp");
  CHECK((*next)->alone);
  CHECK((*next)->as_request);
  CHECK(said(**next, "sessionId") == id);
  CHECK(said(**next, "topUpPreimage") == to_hex(world.wallet.preimages.at(hash)));
  CHECK(told(session.answered(served(receipt_of(id, 40)))) == "ask");
  CHECK(sats(channel_of(world).deposit) == 70);
  CHECK(channel_of(world).opening.empty());
  CHECK(told(session.answered(refusal("", {world.session(2, 40)}))) == "bearer");
  CHECK(told(session.answered(served(receipt_of(id, 42)))) == "done");
  CHECK(sats(channel_of(world).spent) == 42);
  CHECK(sats(world.wallet.money()) == 70);
  CHECK(world.counted() == world.wallet.money());
  check_hidden(world);
}

TEST_CASE("a second top-up for one request is not paid") {
  LightningWorld world;
  opened(world, 40);
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  REQUIRE(told(session.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
          "topUp");
  REQUIRE(told(session.answered(served())) == "ask");
  REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "bearer");
  CHECK(told(session.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
        "error rejected");
  CHECK(sats(world.wallet.money()) == 80);
}

TEST_CASE("the answers to a top-up") {
  struct Case {
    Session::Reply reply;
    std::string next;
    std::uint64_t deposit;
    bool open_end;
  };
  const std::vector<Case> cases{
      {served(), "ask", 80, false},
      {{}, "done", 40, true},
      {refusal(""), "error refused", 40, true},
      {refusal("verification-failed"), "error refused", 40, true},
      {refusal("insufficient-balance"), "error refused", 40, true},
      {refusal("session-closed"), "error refused", 40, true},
      {refusal("challenge-expired"), "error refused", 40, true},
      {refusal("", {}, 401), "error refused", 40, true},
      {refusal("", {}, 500), "error refused", 40, true},
      {refusal("verification-failed", {}, 402, true), "ask", 80, false},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    LightningWorld world;
    opened(world, 40);
    Session& session = world.begin(world.session(2, 40));
    REQUIRE(told(session.pay(false)) == "bearer");
    REQUIRE(told(session.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
            "topUp");
    auto reply = cases[i].reply;
    if (reply.status >= 400) reply.challenges = {world.session(2, 40)};
    const auto next = session.answered(reply);
    CHECK(told(next) == cases[i].next);
    if (!next) check_hidden(world, &next.error());
    const Channel channel = channel_of(world);
    CHECK(channel.status == ChannelStatus::open);
    CHECK(sats(channel.deposit) == cases[i].deposit);
    CHECK(!channel.opening.empty() == cases[i].open_end);
    CHECK(sats(world.wallet.money()) == 80);
    CHECK(world.counted() == world.wallet.money());
    world.restart();
    if (!cases[i].open_end) continue;
    // What was paid comes to the server with the next request, and is not paid again.
    Session& later = world.begin(world.session(2, 40));
    REQUIRE(told(later.pay(false)) == "topUp");
    CHECK(told(later.answered(served())) == "ask");
    CHECK(sats(channel_of(world).deposit) == 80);
    CHECK(sats(world.wallet.money()) == 80);
  }
}

TEST_CASE("a top-up that is over a limit, dearer, or that the wallet does not pay") {
  const auto topped = [](LightningWorld& world, const Challenge& offer) {
    Session& session = world.begin(world.session(2, 40));
    REQUIRE(told(session.pay(false)) == "bearer");
    auto next = session.answered(refusal("insufficient-balance", {offer}));
    CHECK(channel_of(world).opening.empty());
    CHECK(sats(channel_of(world).deposit) == 40);
    CHECK(sats(world.wallet.money()) == 40);
    CHECK(sats(world.counted()) == 40);
    return told(next);
  };
  LightningWorld world;
  opened(world, 40);
  world.limits.max_spend = {{"39", "sat"}};
  CHECK(topped(world, world.session(2, 40)) == "error max_spend");
  CHECK(topped(world, world.session(3, 30)) == "error price_changed");
  world.limits = {};
  world.wallet.ends = Ends::failed;
  CHECK(topped(world, world.session(2, 40)) == "error no_route");
  CHECK(world.process->spender.signed_in_this_run().empty());
  Challenge elsewhere = world.session(2, 40);
  elsewhere.realm = "other";
  CHECK(topped(world, elsewhere) == "error no_offer");
  world.prefix = "lnbc";
  CHECK(topped(world, world.session(2, 40)) == "error wrong_network");
}

// ---- streams

Session& stream_of(LightningWorld& world) {
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "open");
  REQUIRE(told(session.answered(served())) == "done");
  return session;
}

TEST_CASE("a stream: one deposit for a pause, and none before anything has come for the last") {
  LightningWorld world;
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    session.delivered(1, 10);
    REQUIRE(told(session.event("payment-need-topup", need_of(id, 40 * round))) == "ask");
    REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "topUp");
    CHECK(told(session.answered(served())) == "done");
    CHECK(sats(channel_of(world).deposit) == 40 + 40 * round);
    CHECK(sats(channel_of(world).spent) == 40 * round);
    CHECK(sats(world.wallet.money()) == 40 + 40 * round);
  }
  CHECK(told(session.event("payment-need-topup", need_of(id, 160))) == "error overcharged");
  CHECK(sats(world.wallet.money()) == 160);
  CHECK(sats(world.counted()) == 160);
  check_hidden(world);
}

TEST_CASE("data that comes while a deposit is on its way is not for that deposit") {
  LightningWorld world;
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  session.delivered(1, 10);
  REQUIRE(told(session.event("payment-need-topup", need_of(id))) == "ask");
  session.delivered(1, 10);
  REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "topUp");
  REQUIRE(told(session.answered(served())) == "done");
  CHECK(told(session.event("payment-need-topup", need_of(id, 80))) == "error overcharged");
  CHECK(sats(world.wallet.money()) == 80);
}

TEST_CASE("a stream whose top-ups reach the limit ends, and no more is paid") {
  LightningWorld world;
  world.limits.max_spend = {{"80", "sat"}};
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  session.delivered(1, 10);
  REQUIRE(told(session.event("payment-need-topup", need_of(id))) == "ask");
  REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "topUp");
  REQUIRE(told(session.answered(served())) == "done");
  session.delivered(1, 10);
  REQUIRE(told(session.event("payment-need-topup", need_of(id, 80))) == "ask");
  CHECK(told(session.answered(refusal("", {world.session(2, 40)}))) == "error max_spend");
  CHECK(sats(world.wallet.money()) == 80);
}

TEST_CASE("what a stream says of another session, or that it is over") {
  LightningWorld world;
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  CHECK(!session.event("payment-need-topup", need_of(std::string(64, 'a'))).has_value());
  CHECK(!session.event("payment-need-topup", Json::object({})).has_value());
  CHECK(told(session.event("session-timeout", need_of(id))) == "error session_timeout");
  CHECK(world.wallet.pays == 1);
}

TEST_CASE("a stream's receipts are believed up to the deposit") {
  LightningWorld world;
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  CHECK(session.received(receipt_of(id, 16)).has_value());
  CHECK(sats(channel_of(world).spent) == 16);
  CHECK(!session.received(receipt_of(id, 41)).has_value());
  CHECK(!session.received(receipt_of(std::string(64, 'a'), 20)).has_value());
  Receipt odd = receipt_of(id, 20);
  odd.json.set("spent", "-1");
  CHECK(!session.received(odd).has_value());
  CHECK(sats(channel_of(world).spent) == 16);
  CHECK(session.received(receipt_of(id, 10)).has_value());  // it never falls
  CHECK(sats(channel_of(world).spent) == 16);
}

TEST_CASE("the receipt of an answer is refused where it takes more than the deposit") {
  LightningWorld world;
  const std::string id = opened(world, 2);
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  CHECK(!session.answered(served(receipt_of(id, 41))).has_value());
  CHECK(sats(channel_of(world).spent) == 2);
}

TEST_CASE("the receipt of a stream may know the top-up that is on its way") {
  LightningWorld world;
  Session& session = stream_of(world);
  const std::string id = session.channel()->id;
  session.delivered(1, 10);
  REQUIRE(told(session.event("payment-need-topup", need_of(id))) == "ask");
  REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "topUp");
  CHECK(session.received(receipt_of(id, 44)).has_value());
  CHECK(!session.received(receipt_of(id, 81)).has_value());
  CHECK(told(session.answered(served())) == "done");
  CHECK(sats(channel_of(world).spent) == 44);
  CHECK(sats(channel_of(world).deposit) == 80);
}

TEST_CASE("a stream that is resumed makes no new deposit") {
  LightningWorld world;
  opened(world, 2);
  Session& first = world.begin(world.session(2, 40));
  REQUIRE(told(first.pay(false)) == "bearer");
  world.restart();
  const auto doubts = world.in_doubt();
  REQUIRE(doubts.size() == 1);
  SessionChoice choice;
  choice.nothing_new = true;
  Session& session = world.open(world.session(2, 40), doubts.front(), choice);
  REQUIRE(told(session.pay(true)) == "bearer");
  REQUIRE(told(session.answered(served())) == "done");
  session.delivered(1, 10);
  REQUIRE(told(session.event("payment-need-topup", need_of(session.channel()->id))) == "ask");
  CHECK(told(session.answered(refusal("", {world.session(2, 40)}))) == "error resume");
  CHECK(world.wallet.pays == 1);
}

TEST_CASE("a payment that is finished makes no deposit, whatever the server says") {
  for (const char* word :
       {"insufficient-balance", "session-not-found", "session-closed", "verification-failed", ""}) {
    CAPTURE(word);
    LightningWorld world;
    opened(world, 40);
    REQUIRE(told(world.begin(world.session(2, 40)).pay(false)) == "bearer");
    world.restart();
    Session& session = world.open(world.session(2, 40), world.in_doubt().front());
    REQUIRE(told(session.pay(true)) == "bearer");
    CHECK(!session.answered(refusal(word, {world.session(2, 40)})).has_value());
    CHECK(sats(world.wallet.money()) == 40);
  }
}

// ---- two at once

TEST_CASE("two processes at one scope: the second waits, and takes the numbers of the first") {
  LightningWorld world;
  auto other = world.another_process();
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "open");
  const Challenge second = world.session(2, 40);
  CHECK(told(LightningWorld::open(*other, second, world.new_row(second), {}).pay(false)) ==
        kLocked);
  CHECK(sats(world.wallet.money()) == 40);
  REQUIRE(told(session.answered(served())) == "done");
  CHECK(told(LightningWorld::open(*other, second, world.new_row(second), {}).pay(false)) ==
        "bearer");
  CHECK(sats(world.wallet.money()) == 40);
}

TEST_CASE("a stream's receipt does not undo what another process does with the session") {
  LightningWorld world;
  const std::string id = opened(world, 0);
  Session& stream = world.begin(world.session(2, 40));
  REQUIRE(told(stream.pay(false)) == "bearer");
  REQUIRE(told(stream.answered(served())) == "done");
  auto other = world.another_process();
  const Challenge offer = world.session(2, 40);
  Session& second = LightningWorld::open(*other, offer, world.new_row(offer), {});
  REQUIRE(told(second.pay(false)) == "bearer");
  REQUIRE(told(second.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
          "topUp");
  CHECK(stream.received(receipt_of(id, 40)).error().reason == "busy");
  CHECK(!channel_of(world).opening.empty());  // or a crash would lose the deposit
  REQUIRE(told(second.answered(served())) == "ask");
  REQUIRE(told(second.answered(refusal("", {world.session(2, 40)}))) == "bearer");
  REQUIRE(told(second.answered(served())) == "done");
  CHECK(stream.received(receipt_of(id, 44)).has_value());
  CHECK(sats(channel_of(world).deposit) == 80);
  CHECK(sats(channel_of(world).spent) == 44);
}

TEST_CASE("a stream does not pay over a top-up that another process has begun and not finished") {
  LightningWorld world;
  const std::string id = opened(world, 0);
  Session& stream = world.begin(world.session(2, 40));
  REQUIRE(told(stream.pay(false)) == "bearer");
  REQUIRE(told(stream.answered(served())) == "done");
  auto other = world.another_process();
  const Challenge offer = world.session(2, 40);
  Session& second = LightningWorld::open(*other, offer, world.new_row(offer), {});
  REQUIRE(told(second.pay(false)) == "bearer");
  REQUIRE(told(second.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
          "topUp");
  const std::string begun = channel_of(world).opening;
  other.reset();
  stream.delivered(1, 10);
  CHECK(told(stream.event("payment-need-topup", need_of(id))) == "error busy");
  CHECK(channel_of(world).opening == begun);
  CHECK(sats(world.wallet.money()) == 80);
}

// ---- dying

TEST_CASE("an opening can die at every point: one deposit, and it is never lost") {
  int deaths = 0;
  for (int point = 1;; ++point) {
    CAPTURE(point);
    LightningWorld world;
    world.wallet.before_pay = [&](const auto&) { (void)world.may_die(); };
    world.wallet.after_pay = [&] { (void)world.may_die(); };
    const Challenge offer = world.session(2, 40);
    bool died = false;
    world.dies_in = point;
    try {
      Session& session = world.begin(offer);
      const auto step = session.pay(false);
      REQUIRE(told(step) == "open");
      const auto next = session.answered(served());
      REQUIRE(told(next) == "done");
    } catch (const Crash&) {
      died = true;
      ++deaths;
    }
    world.restart();
    CHECK(world.counted() >= world.wallet.money());
    const auto doubts = world.in_doubt();
    CHECK(doubts.empty() == world.channels().empty());
    if (!doubts.empty()) {
      Session& session = world.open(offer, doubts.front());
      const std::string step = told(session.pay(true));
      CHECK(step == (channel_of(world).opening.empty() ? "bearer" : "open"));
      CHECK(told(session.answered(served())) == "done");
    }
    CHECK(world.counted() == world.wallet.money());
    CHECK(world.wallet.pays <= 1);
    if (!died) break;
  }
  CHECK(deaths >= 5);
}

TEST_CASE("a top-up can die at every point: one deposit, and it is never lost") {
  int deaths = 0;
  for (int point = 1;; ++point) {
    CAPTURE(point);
    LightningWorld world;
    opened(world, 40);
    world.wallet.before_pay = [&](const auto&) { (void)world.may_die(); };
    world.wallet.after_pay = [&] { (void)world.may_die(); };
    bool died = false;
    world.dies_in = point;
    try {
      Session& session = world.begin(world.session(2, 40));
      auto step = told(session.pay(false));
      REQUIRE(step == "bearer");
      step = told(session.answered(refusal("insufficient-balance", {world.session(2, 40)})));
      REQUIRE(step == "topUp");
      step = told(session.answered(served()));
      REQUIRE(step == "ask");
    } catch (const Crash&) {
      died = true;
      ++deaths;
    }
    world.restart();
    CHECK(world.counted() >= world.wallet.money());
    for (const Row& row : world.in_doubt()) {
      Session& session = world.open(world.offers.at(row.challenge_id), row);
      auto step = told(session.pay(true));
      if (step == "topUp") {
        CHECK(told(session.answered(served())) == "ask");
        step = told(session.answered(refusal("", {world.session(2, 40)})));
      }
      CHECK(step == "bearer");
      CHECK(told(session.answered(served())) == "done");
    }
    CHECK(world.counted() == world.wallet.money());
    CHECK(channel_of(world).deposit == world.wallet.money());
    CHECK(channel_of(world).opening.empty());
    if (!died) break;
  }
  CHECK(deaths >= 6);
}

TEST_CASE("a session whose opening was not answered is used by the run that finishes it") {
  LightningWorld world;
  const Challenge offer = world.session(2, 40);
  const auto unanswered = [&] {
    Session& session = world.begin(offer);
    REQUIRE(told(session.pay(false)) == "open");
    REQUIRE(told(session.answered({})) == "done");
    world.restart();
  };
  unanswered();
  for (const bool is_open : {false, true}) {
    CAPTURE(is_open);
    Session& session = world.open(offer, world.in_doubt().front());
    REQUIRE(told(session.pay(true)) == "open");
    // The preimage was seen before, says the server, which has no word for it.
    REQUIRE(told(session.answered(refusal("verification-failed"))) == "ask");
    REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "bearer");
    if (!is_open) {
      CHECK(told(session.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
            "error refused");
      CHECK(channel_of(world).status == ChannelStatus::opening);
      CHECK(!channel_of(world).opening.empty());
      world.restart();
      continue;
    }
    CHECK(told(session.answered(served())) == "done");
    CHECK(channel_of(world).status == ChannelStatus::open);
    CHECK(channel_of(world).opening.empty());
  }
  CHECK(sats(world.wallet.money()) == 40);
  CHECK(sats(world.counted()) == 40);
}

TEST_CASE("a top-up that was not answered is not between the next run and its session") {
  for (const bool was_taken : {true, false}) {
    CAPTURE(was_taken);
    LightningWorld world;
    opened(world, 40);
    Session& first = world.begin(world.session(2, 40));
    REQUIRE(told(first.pay(false)) == "bearer");
    REQUIRE(told(first.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
            "topUp");
    REQUIRE(told(first.answered({})) == "done");
    world.restart();
    Session& session = world.begin(world.session(2, 40));
    REQUIRE(told(session.pay(false)) == "topUp");
    REQUIRE(told(session.answered(refusal("verification-failed"))) == "ask");
    REQUIRE(told(session.answered(refusal("", {world.session(2, 40)}))) == "bearer");
    if (was_taken) {
      CHECK(told(session.answered(served())) == "done");
      CHECK(sats(channel_of(world).deposit) == 80);
      CHECK(channel_of(world).opening.empty());
    } else {  // no other deposit is paid on top
      CHECK(told(session.answered(refusal("insufficient-balance", {world.session(2, 40)}))) ==
            "error refused");
      CHECK(sats(channel_of(world).deposit) == 40);
      CHECK(!channel_of(world).opening.empty());
    }
    CHECK(sats(world.wallet.money()) == 80);
  }
}

TEST_CASE("a deposit that was never paid is given up when its invoice is over") {
  LightningWorld world;
  world.wallet.before_pay = [](const auto&) { throw Crash(); };
  const auto die = [&] { (void)world.begin(world.session(2, 40)).pay(false); };
  CHECK_THROWS_AS(die(), Crash);
  world.wallet.before_pay = [](const auto&) {};
  world.restart();
  CHECK(told(world.begin(world.session(2, 40)).pay(false)) == "error busy");
  world.now += 600'000;
  world.restart();
  CHECK(told(world.open(world.session(2, 40), world.in_doubt().front()).pay(true)) ==
        "error not_paid");
  CHECK(world.wallet.pays == 0);
  CHECK(told(world.begin(world.session(2, 40)).pay(false)) == "open");
  CHECK(world.wallet.pays == 1);
}

TEST_CASE("a top-up in doubt is not taken for settled because the first deposit is") {
  LightningWorld world;
  opened(world, 40);
  world.wallet.ends = Ends::in_flight;
  Session& session = world.begin(world.session(2, 40));
  REQUIRE(told(session.pay(false)) == "bearer");
  REQUIRE(!session.answered(refusal("insufficient-balance", {world.session(2, 40)})).has_value());
  const auto settle = [&] {
    return world.process->method->settle(world.row(), world.process->spender, world.wallet).state;
  };
  CHECK(settle() == Settlement::State::open);
  world.wallet.end_all(MemoryWallet::State::settled);
  CHECK(settle() == Settlement::State::settled);
}

TEST_CASE("a deposit that was never paid is not paid as a charge") {
  LightningWorld world;
  world.wallet.before_pay = [](const auto&) { throw Crash(); };
  const auto die = [&] { (void)world.begin(world.session(2, 40)).pay(false); };
  CHECK_THROWS_AS(die(), Crash);
  world.wallet.before_pay = [](const auto&) {};
  world.restart();
  const Row row = world.in_doubt().front();
  CHECK(!world.process->method
             ->rebuild(world.offers.at(row.challenge_id), row, world.process->spender, true)
             .has_value());
  CHECK(world.wallet.pays == 0);
}

// ---- closing

TEST_CASE("a session is closed with its preimage, and the refund is looked for in the wallet") {
  LightningWorld world;
  const std::string id = opened(world, 16);
  Escrow& escrow = *world.process->method->escrow();
  Channel channel = channel_of(world);
  CHECK(escrow.close_method(channel) == "GET");
  const Challenge offer = world.session(2, 40);
  const auto close = escrow.close(channel, offer, world.process->spender);
  REQUIRE(close.has_value());
  CHECK(*close->payload.string_at("action") == "close");
  CHECK(*close->payload.string_at("sessionId") == id);
  CHECK(*close->payload.string_at("preimage") == to_hex(world.wallet.preimages.at(id)));
  CHECK(world.wallet.pays == 1);
  world.wallet.invoices.begin()->second = Amount(24'000);
  http::Answer answer;
  answer.body = R"({"status":"closed","refundSats":24,"refundStatus":"succeeded"})";
  const auto ending = escrow.ended(channel, answer, std::nullopt, world.process->spender);
  REQUIRE(ending.has_value());
  CHECK(ending->returned == Amount(24'000));
  CHECK(!ending->missing.has_value());
  CHECK(sats(channel.spent) == 16);
  answer.body = R"({"refundSats":25})";
  const auto less = escrow.ended(channel, answer, std::nullopt, world.process->spender);
  REQUIRE(less.has_value());
  CHECK(less->missing.has_value());
  answer.body = R"({"refundSats":0})";
  Channel spent = channel;
  const auto none = escrow.ended(spent, answer, std::nullopt, world.process->spender);
  REQUIRE(none.has_value());
  CHECK(none->returned.is_zero());
}

TEST_CASE("a look at the wallet tells of sessions that their server closed") {
  LightningWorld world;
  opened(world, 16);
  Escrow& escrow = *world.process->method->escrow();
  const auto look = [&] {
    auto facts = escrow.look_at(
        world.channels(), [&](const Channel&) { return Result<Spender*>(&world.process->spender); },
        world.wallet);
    REQUIRE(facts.has_value());
    return facts->front();
  };
  CHECK(look().exists);
  world.wallet.invoices.begin()->second = Amount(24'000);
  CHECK(!look().exists);
  CHECK(sats(look().settled) == 16);
}

}  // namespace
}  // namespace paycurl::lightning
