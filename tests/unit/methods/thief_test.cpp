// A server that only wants money, against one session and a simple model of what it may get.
//
// Whatever it says, in any order: what is signed is worth no more than what it delivered and one
// step, never more than lies in the channel, never less than before, and is in the journal before
// it leaves; deposits and vouchers keep to the user's limits.
#include <random>
#include <set>

#include <doctest/doctest.h>

#include "tests/unit/methods/session_world.h"

namespace paycurl::tempo {
namespace {

using test::receipt_of;
using test::refusal;
using test::said;
using test::served;
using test::session_offer;
using test::SessionWorld;

/// How often things happened, so that no rule is kept by nothing happening.
struct Tally {
  int vouchers = 0, top_ups = 0, openings = 0, refused = 0, stopped = 0, receipts = 0;
};

std::uint64_t small(Amount amount) {
  return std::stoull(amount.decimal());
}

class Thief {
 public:
  Thief(SessionWorld& world, std::uint64_t seed, Tally& tally)
      : world_(world), random_(seed), tally_(tally) {}

  void play() {
    prepare();
    if (!settle(world_.session->pay(false)) || id_.empty()) return;
    for (int turn = 0; turn < 20; ++turn) {
      world_.now += static_cast<Millis>(below(500));
      if (!act()) return;
    }
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }

  void prepare() {
    world_.clear();
    price_ = one_of<std::uint64_t>({1, 40, 1'000, 2'500, 100'000});
    unit_ = one_of<const char*>({"message", "request", "byte", "word", ""});
    least_ = one_of<std::uint64_t>({0, 0, 1, 3 * price_, 1'000'000'000});
    suggested_ = one_of<const char*>({"", "", "5000", "200000", "1000000000000"});
    world_.limits.max_spend = {*parse_limit(one_of<const char*>({"1", "0.2", "0.011", "50"}))};
    if (below(2) == 0) {
      world_.limits.max_deposit = {*parse_limit(one_of<const char*>({"0.05", "0.3", "10"}))};
    }
    if (below(4) == 0) world_.options.own["step"] = one_of<const char*>({"0", "0.05"});
    world_.restart();
    const Challenge offer = challenge(price_, unit_, least_);
    const SessionTerms terms = *world_.terms(offer);
    step_ = std::max(small(step_of(terms, *world_.networks)), price_);
    max_spend_ = small(run_budget(terms.asset, world_.limits, {})->limit);
    asset_ = terms.asset;
    if (below(3) != 0) {
      const std::uint64_t deposit = price_ * (1 + below(300));
      const std::uint64_t had = below(deposit + 1);
      const std::uint64_t spent = had - below(std::min(had, 3 * price_) + 1);
      const Channel channel = world_.insert_channel(offer, deposit, had, spent);
      id_ = channel.id;
      highest_ = had;
      issued_ = deposit;
      channels_ = 1;
    }
    world_.begin(offer);
  }

  Challenge challenge(std::uint64_t price, const std::string& unit, std::uint64_t least) const {
    return session_offer(std::to_string(price), suggested_, unit,
                         Json::object({{"minVoucherDelta", std::to_string(least)}}));
  }

  // ---- what the server does

  /// One turn in the stream; false when the session has had enough.
  bool act() {
    switch (below(10)) {
      case 0:
      case 1:
      case 2:
        deliver();
        return true;
      case 3:
      case 4:
        return need(highest_ + price_);
      case 5:
        return need(highest_ + one_of<std::uint64_t>({0, 1, step_ - 1, step_, step_ + 1}));
      case 6:
        return need(one_of<std::uint64_t>(
            {issued_, issued_ + 1, issued_ + step_, highest_ * 2, std::uint64_t{1} << 62, 0}));
      case 7:
        return need(highest_ + price_ * below(20));
      case 8:
        receipt();
        return true;
      default:
        return odd_event();
    }
  }

  void deliver() {
    const std::size_t events = 1 + below(3);
    const std::size_t bytes = one_of<std::size_t>({0, 1, 15, 400});
    world_.session->delivered(events, bytes);
    const bool by_event = unit_ == "message" || unit_ == "request";
    delivered_ += by_event ? events : bytes;
  }

  bool need(std::uint64_t required) {
    return settle(world_.session->event(
        "payment-need-voucher",
        Json::object({{"channelId", id_}, {"requiredCumulative", std::to_string(required)}})));
  }

  bool odd_event() {
    const std::string other = "0x" + std::string(64, 'a');
    const std::string id = below(2) == 0 ? id_ : other;
    const Json sum = one_of<Json>({Json(), Json(5), Json("-1"), Json("1e9")});
    return settle(world_.session->event(
        "payment-need-voucher", Json::object({{"channelId", id}, {"requiredCumulative", sum}})));
  }

  Receipt any_receipt() {
    const std::uint64_t accepted = highest_ + one_of<std::uint64_t>({0, 0, 0, 1, price_});
    const std::uint64_t spent = accepted + (below(5) == 0 ? 1 : 0) - below(accepted / 2 + 1);
    return receipt_of(below(8) == 0 ? "0x" + std::string(64, 'b') : id_, accepted, spent);
  }

  void receipt() {
    const Amount before = world_.session->channel()->spent;
    const auto taken = world_.session->received(any_receipt());
    tally_.receipts += taken ? 1 : 0;
    const Channel row = check_row();
    if (!taken) CHECK(row.spent == before);
  }

  Session::Reply reply() {
    const auto fresh = [&]() -> Challenge {
      switch (below(6)) {
        case 0:
          return challenge(price_ + 1, unit_, least_);
        case 1:
          return challenge(std::max<std::uint64_t>(price_ / 2, 1), unit_, least_);
        case 2:
          return challenge(price_, one_of<const char*>({"byte", "message", ""}), least_);
        case 3:
          return challenge(price_, unit_, 1'000'000'000);
        default:
          return challenge(price_, unit_, least_);
      }
    };
    switch (below(12)) {
      case 0:
        return refusal("session/insufficient-balance");
      case 1:
      case 2:
        return refusal(one_of<const char*>({"invalid-challenge", "payment-required"}), {fresh()});
      case 3:
        return refusal(
            one_of<const char*>({"verification-failed", "session/channel-not-found", ""}), {},
            one_of({402, 410, 500}));
      case 4:
        return below(3) == 0 ? Session::Reply() : served(any_receipt());
      case 5:
        return served(receipt_of(id_, highest_, highest_));  // all of it is gone
      default:
        return served();
    }
  }

  // ---- what the session did

  bool settle(Result<Session::Step> step) {
    if (step) return settle(Result<std::optional<Session::Step>>(std::optional(std::move(*step))));
    return settle(Result<std::optional<Session::Step>>(step.error()));
  }

  /// Looks at a step and answers it, and so on until the session is content.
  bool settle(Result<std::optional<Session::Step>> step) {
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 100);  // or it would never end
      if (!step) {
        ++tally_.stopped;
        if (!id_.empty()) check_row();
        // With nothing under way it must bear being asked again.
        return steps == 0 && below(4) != 0;
      }
      if (!*step) break;
      look_at(**step);
      if (below(4) == 0) deliver();
      if (below(6) == 0) receipt();
      const Session::Reply answer = reply();
      tally_.refused += answer.status >= 300 ? 1 : 0;
      step = world_.session->answered(answer);
      if (answer.status == 0) return false;
    }
    check_row();
    return true;
  }

  void look_at(const Session::Step& step) {
    const std::string action = said(step, "action");
    const std::string transaction = said(step, "transaction");
    if (said(step, "channelId") != id_) {  // a new one
      CHECK(action == "open");
      id_ = said(step, "channelId");
      highest_ = issued_ = 0;
      ++channels_;
    }
    const Channel row = check_row();
    if (!transaction.empty() && seen_.insert(transaction).second) {
      const bool opens = action == "open";
      issued_ += opens ? small(row.deposit) : std::stoull(said(step, "additionalDeposit"));
      (opens ? tally_.openings : tally_.top_ups) += 1;
      // The limit as it was before this step's own voucher.
      const Amount spent_here = opens ? Amount(price_) : Amount();
      CHECK(issued_ - small(row.spent) <= deposit_limit() + small(spent_here));
      if (opens && below(2) == 0) world_.node.channels[id_] = {true, row.deposit, Amount(), 0};
    }
    if (action == "topUp") return;
    const std::uint64_t sum = std::stoull(said(step, "cumulativeAmount"));
    CHECK(sum >= highest_);
    CHECK(sum <= small(row.signed_amount));
    CHECK(sum <= issued_);
    if (sum > highest_) {
      ++tally_.vouchers;
      signed_ += sum - highest_;
      highest_ = sum;
    }
    // What a channel that is gone was signed for is lost, and the next one's first unit comes on
    // top.
    CHECK(signed_ <= price_ * delivered_ + step_ + (channels_ > 1 ? price_ : 0));
    CHECK(channels_ <= 2);
    CHECK(signed_ <= max_spend_);
    Amount total;
    for (const Money& money : world_.spender->signed_in_this_run()) {
      total = *total.plus(money.amount);
    }
    CHECK(small(total) == signed_);
  }

  std::uint64_t deposit_limit() const { return small(world_.spender->deposit_limit(asset_, id_)); }

  /// The journal covers everything that left.
  Channel check_row() {
    Channel row = *world_.channels.find(id_);
    CHECK(small(row.signed_amount) >= highest_);
    CHECK(row.signed_amount <= row.deposit);
    CHECK(row.spent <= row.accepted);
    CHECK(row.accepted <= row.signed_amount);
    return row;
  }

  SessionWorld& world_;
  std::mt19937_64 random_;
  Tally& tally_;
  std::string unit_, suggested_, id_;
  Asset asset_;
  std::uint64_t price_ = 0, least_ = 0, step_ = 0, max_spend_ = 0;
  std::uint64_t highest_ = 0;    // voucher of the channel
  std::uint64_t signed_ = 0;     // beyond what the channel had
  std::uint64_t issued_ = 0;     // deposits of the channel that may be mined
  std::uint64_t delivered_ = 0;  // units
  int channels_ = 0;
  std::set<std::string> seen_;
};

Tally play(std::uint64_t sequences) {
  Tally tally;
  SessionWorld world;
  for (std::uint64_t seed = 0; seed < sequences; ++seed) {
    CAPTURE(seed);
    Thief(world, seed, tally).play();
  }
  CHECK(tally.vouchers > sequences / 2);
  CHECK(tally.openings > sequences / 10);
  CHECK(tally.top_ups > sequences / 50);
  CHECK(tally.refused > sequences / 4);
  CHECK(tally.receipts > sequences / 10);
  CHECK(tally.stopped > sequences / 4);
  return tally;
}

TEST_CASE("a thief gets one step") {
  play(20);
}

TEST_SUITE_BEGIN("long");

TEST_CASE("a thief gets one step, 10 000 times" * doctest::skip()) {
  const Tally tally = play(10'000);
  MESSAGE(tally.vouchers << " vouchers, " << tally.top_ups << " top-ups, " << tally.openings
                         << " openings, " << tally.refused << " refusals, " << tally.receipts
                         << " receipts believed");
}

TEST_SUITE_END();

}  // namespace
}  // namespace paycurl::tempo
