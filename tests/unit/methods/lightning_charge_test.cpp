// A charge from the first question to the wallet to the row that is left, whatever the wallet says
// and wherever the process dies.
#include <doctest/doctest.h>

#include "tests/unit/methods/lightning_world.h"

namespace paycurl::lightning {
namespace {

using lightning_test::Crash;
using lightning_test::Ends;
using lightning_test::LightningWorld;

std::string preimage_of(const LightningWorld& world, const std::string& hash) {
  return to_hex(world.wallet.preimages.at(hash));
}

/// The hash of the newest invoice that was committed.
std::string hash_of(LightningWorld& world) {
  return world.row().reference.value_or("");
}

std::string proof_of(const Result<Credential>& credential) {
  REQUIRE(credential.has_value());
  CHECK(credential->moved);
  CHECK(credential->proof == *credential->payload.string_at("preimage"));
  return credential->proof;
}

Result<Credential> rebuild(LightningWorld& world) {
  const Row row = world.row();
  return world.process->method->rebuild(world.offers.at(row.challenge_id), row,
                                        world.process->spender, true);
}

/// A charge of 100 sat whose process died just before the wallet was asked, or just behind it.
void crash_at_pay(LightningWorld& world, bool before) {
  const Challenge challenge = world.charge(100);
  if (before) {
    world.wallet.before_pay = [](const auto&) { throw Crash(); };
  } else {
    world.wallet.after_pay = [] { throw Crash(); };
  }
  CHECK_THROWS_AS((void)world.pay(challenge), Crash);
  world.wallet.before_pay = [](const auto&) {};
  world.wallet.after_pay = [] {};
  world.restart();
}

TEST_CASE("a charge: the row is in doubt before the wallet is asked") {
  LightningWorld world;
  const Challenge challenge = world.charge(100);
  int asked = 0;
  world.wallet.before_pay = [&](const auto& question) {
    ++asked;
    const Row row = world.row();
    CHECK(row.status == PaymentStatus::unknown);
    CHECK(row.reference == question.hash);
    CHECK(row.paid.amount == Amount(100'000));
    CHECK(row.fee == Amount(10'000));
    CHECK(row.rebuild.has_value());
    CHECK(*Json::parse(question.body)->string_at("fee_limit_msat") == "10000");
  };
  const auto credential = world.pay(challenge);
  const std::string hash = hash_of(world);
  CHECK(proof_of(credential) == preimage_of(world, hash));
  CHECK(asked == 1);
  CHECK(world.wallet.money() == Amount(100'000));
  CHECK(world.process->spender.row().fee == Amount(2010));
  CHECK(world.process->spender.signed_in_this_run().size() == 1);
  CHECK(world.journal_text().find(preimage_of(world, hash)) == std::string::npos);
}

TEST_CASE("a charge over a limit: the wallet is not asked to pay") {
  LightningWorld world;
  const auto refused = [&](const char* reason) {
    const auto credential = world.pay(world.charge(100));
    REQUIRE(!credential.has_value());
    CHECK(credential.error().kind == Kind::declined);
    CHECK(credential.error().reason == reason);
    CHECK(world.wallet.pays == 0);
    CHECK(world.rows().empty());
    CHECK(world.process->spender.signed_in_this_run().empty());
  };
  world.limits.max_spend = {{"99", "sat"}};
  refused("max_spend");
  world.limits = {};
  world.limits.expected.amount = "99";
  refused("expect_amount");
  world.limits = {};
  world.limits.per_day = {{"99", "sat"}};
  world.prefix = "lnbc";
  world.wallet.network = "mainnet";
  world.restart();
  refused("per_day");
}

TEST_CASE("a charge: money that a run paid is counted against its limit") {
  LightningWorld world;
  world.limits.max_spend = {{"150", "sat"}};
  REQUIRE(world.pay(world.charge(100)).has_value());
  CHECK(world.pay(world.charge(100)).error().reason == "max_spend");
  CHECK(world.wallet.money() == Amount(100'000));
}

TEST_CASE("a charge that the wallet did not pay is neither in doubt nor counted") {
  for (const Ends ends : {Ends::failed, Ends::unsent}) {
    LightningWorld world;
    world.limits.max_spend = {{"150", "sat"}};
    world.wallet.ends = ends;
    const auto credential = world.pay(world.charge(100));
    REQUIRE(!credential.has_value());
    CHECK(credential.error().kind == Kind::backend);
    CHECK(world.row().status == PaymentStatus::not_sent);
    CHECK(world.process->spender.row().status == PaymentStatus::not_sent);
    CHECK(world.process->spender.signed_in_this_run().empty());
    CHECK(world.counted().is_zero());
    CHECK(world.in_doubt().empty());
    world.wallet.ends = Ends::paid;
    CHECK(world.pay(world.charge(100)).has_value());
  }
}

TEST_CASE("a charge whose end nobody tells is in doubt, and counted") {
  for (const Ends ends : {Ends::in_flight, Ends::lost}) {
    LightningWorld world;
    world.wallet.ends = ends;
    const auto credential = world.pay(world.charge(100));
    REQUIRE(!credential.has_value());
    CHECK(credential.error().kind == Kind::outcome_unknown);
    CHECK(world.row().status == PaymentStatus::unknown);
    CHECK(world.counted() == Amount(100'000));
    CHECK(world.process->spender.signed_in_this_run().size() == 1);
    world.restart();
    CHECK(world.in_doubt().size() == 1);
  }
}

TEST_CASE("a charge whose answer is lost is found by a look-up") {
  LightningWorld world;
  world.wallet.ends = Ends::mute;
  const std::string proof = proof_of(world.pay(world.charge(100)));
  CHECK(proof == preimage_of(world, hash_of(world)));
  CHECK(world.wallet.pays == 1);
}

TEST_CASE("a charge on another network than the wallet's") {
  LightningWorld world;
  world.wallet.network = "mainnet";
  const auto credential = world.pay(world.charge(100));
  REQUIRE(!credential.has_value());
  CHECK(credential.error().kind == Kind::declined);
  CHECK(credential.error().reason == "wrong_network");
  CHECK(world.wallet.pays == 0);
  CHECK(world.rows().empty());
}

TEST_CASE("a charge from a wallet that is away") {
  LightningWorld world;
  world.wallet.away = true;
  const auto credential = world.pay(world.charge(100));
  REQUIRE(!credential.has_value());
  CHECK(credential.error().kind == Kind::backend);
  CHECK(world.rows().empty());
}

TEST_CASE("a charge that was paid is finished with the same preimage") {
  LightningWorld world;
  crash_at_pay(world, false);
  CHECK(world.in_doubt().size() == 1);
  CHECK(proof_of(rebuild(world)) == preimage_of(world, hash_of(world)));
  CHECK(proof_of(rebuild(world)) == preimage_of(world, hash_of(world)));
  CHECK(world.wallet.pays == 1);
  CHECK(world.counted() == world.wallet.money());
}

TEST_CASE("a charge that was never asked for is paid once, while its invoice is good") {
  LightningWorld world;
  crash_at_pay(world, true);
  CHECK(world.wallet.money().is_zero());
  const std::string hash = hash_of(world);
  world.wallet.before_pay = [&](const auto& question) { CHECK(question.hash == hash); };
  CHECK(proof_of(rebuild(world)) == preimage_of(world, hash));
  CHECK(world.wallet.pays == 1);
  world.restart();
  CHECK(proof_of(rebuild(world)) == preimage_of(world, hash));
  CHECK(world.wallet.pays == 1);
  CHECK(world.wallet.money() == Amount(100'000));
}

TEST_CASE("a charge that was never asked for and is over is not paid") {
  LightningWorld world;
  crash_at_pay(world, true);
  world.now += 600'000;
  const auto credential = rebuild(world);
  REQUIRE(!credential.has_value());
  CHECK(credential.error().reason == "not_paid");
  CHECK(world.wallet.pays == 0);
  const auto settled =
      world.process->method->settle(world.row(), world.process->spender, world.wallet);
  CHECK(settled.state == Settlement::State::never);
  CHECK(settled.is_final);
}

TEST_CASE("a charge that is under way or has failed is not paid again") {
  for (const Ends ends : {Ends::in_flight, Ends::failed}) {
    LightningWorld world;
    world.wallet.ends = ends;
    crash_at_pay(world, false);
    world.wallet.ends = Ends::paid;
    const auto credential = rebuild(world);
    REQUIRE(!credential.has_value());
    CHECK((credential.error().kind == Kind::outcome_unknown) == (ends == Ends::in_flight));
    CHECK(world.wallet.pays == 1);
    const auto found =
        world.process->method->settle(world.row(), world.process->spender, world.wallet);
    CHECK(found.state ==
          (ends == Ends::in_flight ? Settlement::State::open : Settlement::State::never));
  }
}

TEST_CASE("a charge in doubt stays so while the wallet does not answer") {
  LightningWorld world;
  crash_at_pay(world, true);
  for (const bool away : {true, false}) {
    world.wallet.away = away;
    world.wallet.blind = !away;
    CHECK(rebuild(world).error().kind == Kind::outcome_unknown);
    CHECK(world.wallet.pays == 0);
    const auto found =
        world.process->method->settle(world.row(), world.process->spender, world.wallet);
    CHECK(found.state == Settlement::State::open);
  }
}

TEST_CASE("an invoice that comes a second time is looked up first, and costs nothing") {
  LightningWorld world;
  const Challenge challenge = world.charge(100);
  REQUIRE(world.pay(challenge).has_value());
  world.restart();
  world.wallet.before_pay = [](const auto&) { CHECK(false); };
  CHECK(proof_of(world.pay(challenge)) == preimage_of(world, hash_of(world)));
  CHECK(world.wallet.pays == 1);
  CHECK(world.rows().size() == 2);
  CHECK(world.row().paid.amount.is_zero());
  CHECK(world.row().fee.is_zero());
  CHECK(world.counted() == Amount(100'000));
  // Nothing is paid, nor written, while the wallet does not say.
  world.wallet.blind = true;
  CHECK(world.pay(challenge).error().kind == Kind::outcome_unknown);
  CHECK(world.rows().size() == 2);
}

TEST_CASE("an invoice that comes a second time and was never paid is paid, and counted once") {
  LightningWorld world;
  world.wallet.ends = Ends::failed;
  const Challenge challenge = world.charge(100);
  CHECK(!world.pay(challenge).has_value());
  world.wallet.ends = Ends::paid;
  REQUIRE(world.pay(challenge).has_value());
  CHECK(world.wallet.money() == Amount(100'000));
  CHECK(world.counted() == Amount(100'000));
}

TEST_CASE("a charge is not paid behind the end of its offer") {
  LightningWorld world;
  Challenge challenge = world.charge(100);
  challenge.expires = world.now;
  CHECK(world.pay(challenge).error().reason == "expired");
  CHECK(world.wallet.pays == 0);
  CHECK(world.counted().is_zero());
}

TEST_CASE("a charge can die at every point, and is paid at most once") {
  int deaths = 0;
  for (int point = 1;; ++point) {
    CAPTURE(point);
    LightningWorld world;
    const Challenge challenge = world.charge(100);
    world.wallet.before_pay = [&](const auto& question) {
      CHECK(world.row().reference == question.hash);
      (void)world.may_die();
    };
    world.wallet.after_pay = [&] { (void)world.may_die(); };
    world.dies_in = point;
    bool died = false;
    try {
      const auto paid = world.pay(challenge);
      REQUIRE(paid.has_value());
    } catch (const Crash&) {
      died = true;
      ++deaths;
    }
    world.restart();
    CHECK(world.counted() >= world.wallet.money());
    const auto doubts = world.in_doubt();
    REQUIRE(doubts.size() <= 1);
    CHECK(doubts.empty() == world.counted().is_zero());
    if (!doubts.empty()) {
      CHECK(proof_of(rebuild(world)) == preimage_of(world, *doubts.front().reference));
      CHECK(world.wallet.pays == 1);
      CHECK(world.wallet.money() == world.counted());
    }
    if (!died) break;
  }
  CHECK(deaths >= 4);
}

TEST_CASE("no text that comes of a charge has the preimage in it") {
  for (const Ends ends : {Ends::paid, Ends::failed, Ends::in_flight, Ends::mute, Ends::lost}) {
    LightningWorld world;
    world.wallet.ends = ends;
    const auto credential = world.pay(world.charge(100));
    const std::string preimage = preimage_of(world, hash_of(world));
    if (!credential) {
      CHECK(credential.error().message.find(preimage) == std::string::npos);
      CHECK(credential.error().hint.find(preimage) == std::string::npos);
    }
    CHECK(world.journal_text().find(preimage) == std::string::npos);
  }
}

}  // namespace
}  // namespace paycurl::lightning
