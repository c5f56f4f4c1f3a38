// A server that only wants money, a wallet that ends payments as it likes, and a client that dies
// at any moment and is started again, against a simple model of what may leave the wallet.
//
// Whatever happens, in any order: nothing is paid that the journal did not have before, the journal
// never counts less than what left, no run spends more than its limit, no invoice is paid twice,
// and a stream gets one deposit for a pause.
#include <random>

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
using lightning_test::served;
using lightning_test::told;

/// How often things happened, so that no rule is kept by nothing happening.
struct Tally {
  int deaths = 0, openings = 0, top_ups = 0, bearers = 0, charges = 0, refused = 0, resumed = 0,
      paid = 0, declined = 0;
};

class Walk {
 public:
  Walk(LightningWorld& world, std::uint64_t seed, Tally& tally)
      : world_(world), random_(seed), tally_(tally) {}

  void play() {
    world_.clear();
    most_ = one_of<std::uint64_t>({10, 45, 90, 200, 1000}) * 1000;
    world_.limits.max_spend = {{std::to_string(most_ / 1000), "sat"}};
    world_.wallet.before_pay = [this](const auto& question) { before_pay(question); };
    world_.wallet.after_pay = [this] { after_pay(); };
    for (int run = 0; run < 5; ++run) {
      start();
      try {
        act();
      } catch (const Crash&) {
        ++tally_.deaths;
      }
      finish();
    }
    world_.wallet.before_pay = [](const auto&) {};
    world_.wallet.after_pay = [] {};
  }

 private:
  std::uint64_t below(std::uint64_t end) { return random_() % end; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[below(values.size())];
  }
  void roll_wallet() {
    using enum Ends;
    world_.wallet.ends = one_of(
        {paid, paid, paid, paid, paid, paid, paid, paid, failed, in_flight, mute, lost, unsent});
    world_.wallet.blind = below(20) == 0;
    world_.wallet.away = below(40) == 0;
  }

  // ---- runs

  void start() {
    world_.restart();
    earlier_.clear();
    for (const Row& row : world_.rows())
      earlier_ += row.rebuild.value_or("") + "\n";
    for (const Channel& channel : world_.channels())
      earlier_ += channel.opening + "\n";
    of_run_.clear();
    for_pause_ = 0;
    streaming_ = false;
    roll_wallet();
    if (below(2) == 0) world_.dies_in = static_cast<int>(1 + below(16));
  }

  /// The process is gone; time goes on, and what was under way ends.
  void finish() {
    world_.restart();
    check_money();
    if (below(3) == 0) world_.wallet.arrive();
    if (below(2) == 0) {
      world_.wallet.end_all(below(3) == 0 ? MemoryWallet::State::failed
                                          : MemoryWallet::State::settled);
    }
    world_.now += one_of<Millis>({0, 1'000, 60'000, 700'000});
    check_money();
    const std::string journal = world_.journal_text();
    for (const auto& [hash, payment] : world_.wallet.payments) {
      CHECK(journal.find(to_hex(world_.wallet.preimages.at(hash))) == std::string::npos);
    }
  }

  void act() {
    const bool by_session = below(4) != 0;
    for (const Row& row : world_.in_doubt()) {
      if (below(4) == 0 || !world_.process->ledger.claim(row.seq)) continue;
      ++tally_.resumed;
      if (by_session && row.intent == "session") {
        const bool original = below(2) == 0;
        return run_session(original ? world_.offers.at(row.challenge_id) : offer(), row);
      }
      world_.process->spender.begin(row);
      const auto proof = world_.process->method->rebuild(world_.offers.at(row.challenge_id), row,
                                                         world_.process->spender, true);
      if (row.intent == "session") CHECK(!proof.has_value());
      if (proof && below(2) == 0) return save(PaymentStatus::settled);
      settle_by_rail();
    }
    if (by_session) return run_session(offer(), std::nullopt);
    charge();
  }

  void charge() {
    const Challenge challenge = world_.charge(one_of<std::uint64_t>({1, 40, 80}));
    const auto proof = world_.pay(challenge);
    if (proof) {
      ++tally_.charges;
      return save(one_of({PaymentStatus::settled, PaymentStatus::unknown}));
    }
    check_hidden(proof.error());
    const Row& row = world_.process->spender.row();
    if (row.seq == 0) return;
    if (row.status == PaymentStatus::unknown) return settle_by_rail();
    save(PaymentStatus::not_sent);
  }

  void run_session(const Challenge& challenge, const std::optional<Row>& row) {
    SessionChoice choice;
    choice.fresh = below(10) == 0;
    choice.nothing_new = row && below(3) == 0;
    session_ = &world_.open(challenge, row ? *row : world_.new_row(challenge), choice);
    Result<std::optional<Session::Step>> step = std::optional<Session::Step>();
    {
      auto first = session_->pay(row.has_value());
      if (first) {
        step = std::optional(std::move(*first));
      } else {
        step = first.error();
      }
    }
    if (!settle(std::move(step), row.has_value())) return;
    streaming_ = true;
    for (int turn = 0; turn < 8; ++turn) {
      world_.now += static_cast<Millis>(below(2'000));
      if (!stream_turn()) break;
    }
    if (below(2) == 0) return save(PaymentStatus::settled);
    settle_by_rail();
  }

  /// Answers steps until the session is content; false when the run is over.
  bool settle(Result<std::optional<Session::Step>> step, bool again) {
    for (int steps = 0;; ++steps) {
      REQUIRE(steps < 100);  // or it would never end
      check_money();
      if (!step) {
        check_hidden(step.error());
        tally_.declined += step.error().kind == Kind::declined ? 1 : 0;
        after_error(step.error(), again);
        return false;
      }
      if (!*step) return true;
      const std::string action = told(**step);
      tally_.openings += action == "open" ? 1 : 0;
      tally_.top_ups += action == "topUp" ? 1 : 0;
      tally_.bearers += action == "bearer" ? 1 : 0;
      if (streaming_ && below(4) == 0) deliver();
      if (streaming_ && below(4) == 0) (void)session_->received(receipt());
      roll_wallet();
      const Session::Reply answer = reply(action == "ask");
      tally_.refused += answer.status >= 300 ? 1 : 0;
      step = session_->answered(answer);
      if (answer.status == 0) {
        settle_by_rail();
        return false;
      }
    }
  }

  bool stream_turn() {
    switch (below(6)) {
      case 0:
      case 1:
        deliver();
        return true;
      case 2:
      case 3:
      case 4: {
        const std::string id = below(8) == 0 ? std::string(64, 'a') : session_->channel()->id;
        return settle(session_->event("payment-need-topup",
                                      Json::object({{"sessionId", id},
                                                    {"balanceSpent", std::to_string(below(200))},
                                                    {"balanceRequired", "2"}})),
                      false);
      }
      default:
        (void)session_->received(receipt());
        check_channel();
        return below(10) != 0;
    }
  }

  void deliver() {
    session_->delivered(1, 10);
    for_pause_ = 0;
  }

  // ---- what the server says

  Challenge offer() {
    if (below(8) == 0 && !world_.offers.empty()) {  // one that was paid, or not, before
      auto old = world_.offers.begin();
      std::advance(old, below(world_.offers.size()));
      if (old->second.intent == "session") return old->second;
    }
    return world_.session(one_of<std::uint64_t>({1, 2, 2, 3}),
                          one_of<std::uint64_t>({4, 40, 40, 80, 500}));
  }

  Receipt receipt() {
    const std::string id = below(8) == 0 ? std::string(64, 'a') : session_->channel()->id;
    return receipt_of(id, below(100));
  }

  Session::Reply reply(bool asked) {
    std::vector<Challenge> fresh;
    for (std::uint64_t i = below(3) + (asked ? 1 : 0); i > 0; --i)
      fresh.push_back(offer());
    if (asked && below(8) != 0) return refusal("", fresh);
    const bool repeated = below(8) == 0;
    switch (below(12)) {
      case 0:
      case 1:
      case 2:
        return refusal("insufficient-balance", fresh, 402, repeated);
      case 3:
        return refusal(one_of<const char*>({"session-not-found", "session-closed"}), fresh, 402,
                       repeated);
      case 4:
        return refusal(one_of<const char*>({"challenge-expired", "verification-failed", ""}), fresh,
                       402, repeated);
      case 5:
        return refusal("", fresh, one_of({401, 404, 500, 503}), repeated);
      case 6:
        return {};
      case 7:
        return served(session_->channel() ? std::optional(receipt()) : std::nullopt);
      default:
        return served();
    }
  }

  // ---- what becomes of the row, as the flow has it

  void save(PaymentStatus status) {
    Row row = world_.process->spender.row();
    if (row.seq == 0) return;
    row.status = status;
    const auto saved = world_.process->ledger.answer(row, {});
    REQUIRE(saved.has_value());
  }

  void after_error(const Error& error, bool again) {
    const bool is_final = error.kind == Kind::rejected || error.kind == Kind::not_delivered;
    if (again && !is_final) return save(PaymentStatus::unknown);
    if (error.kind == Kind::not_delivered) return save(PaymentStatus::settled);
    if (error.kind == Kind::outcome_unknown) return settle_by_rail();
    save(PaymentStatus::rejected);
  }

  void settle_by_rail() {
    const Row row = world_.process->spender.row();
    if (row.seq == 0) return;
    if (row.paid.amount.is_zero()) return save(PaymentStatus::rejected);
    const auto found = world_.process->method->settle(row, world_.process->spender, world_.wallet);
    save(found.state == Settlement::State::settled ? PaymentStatus::settled
         : found.state == Settlement::State::never ? PaymentStatus::rejected
                                                   : PaymentStatus::unknown);
  }

  // ---- the model

  /// What is going to be paid must be in the journal, and in the limit of some run.
  void before_pay(const MemoryWallet::Question& question) {
    (void)world_.may_die();
    const std::string text = *Json::parse(question.body)->string_at("payment_request");
    const auto invoice = *read_invoice(text);
    bool in_row = false;
    bool is_session = false;
    for (const Row& row : world_.rows()) {
      const bool has = row.rebuild.value_or("").find(text) != std::string::npos;
      if (!has || row.status != PaymentStatus::unknown) continue;
      in_row = row.paid.amount >= *invoice.amount;
      is_session = row.intent == "session";
      if (in_row) break;
    }
    CHECK(in_row);
    bool in_channel = false;
    for (const Channel& channel : world_.channels()) {
      in_channel = in_channel || channel.opening.find(text) != std::string::npos;
    }
    CHECK(in_channel == is_session);
    if (earlier_.find(text) == std::string::npos) of_run_[question.hash] = *invoice.amount;
    CHECK(sum_of_run() <= Amount(most_));
    if (streaming_) CHECK(++for_pause_ <= 1);
    asked_ = question.hash;
  }

  void after_pay() {
    ++tally_.paid;
    check_money();
    (void)world_.may_die();
  }

  Amount sum_of_run() const {
    Amount sum;
    for (const auto& [hash, amount] : of_run_) {
      const auto known = world_.wallet.payments.find(hash);
      const bool failed = known != world_.wallet.payments.end() &&
                          known->second.state == MemoryWallet::State::failed && hash != asked_;
      if (!failed) sum = *sum.plus(amount);
    }
    return sum;
  }

  /// What left, or is still on its way, is counted.
  void check_money() {
    Amount money = world_.wallet.money();
    for (const std::string& text : world_.wallet.delayed) {
      const auto invoice = *read_invoice(text);
      if (world_.wallet.payments.count(to_hex(invoice.payment_hash)) == 0) {
        money = *money.plus(*invoice.amount);
      }
    }
    CHECK(world_.counted() >= money);
  }

  void check_channel() {
    const auto channel = *world_.process->channels.get(session_->channel()->id);
    REQUIRE(channel.has_value());
    CHECK(channel->spent <= channel->deposit.plus(Amount(500'000)).value_or(Amount()));
  }

  void check_hidden(const Error& error) {
    for (const auto& [hash, payment] : world_.wallet.payments) {
      const std::string preimage = to_hex(world_.wallet.preimages.at(hash));
      CHECK(error.message.find(preimage) == std::string::npos);
      CHECK(error.hint.find(preimage) == std::string::npos);
    }
  }

  LightningWorld& world_;
  std::mt19937_64 random_;
  Tally& tally_;
  Session* session_ = nullptr;
  std::uint64_t most_ = 0;  // millisatoshi, for one run
  std::string earlier_;     // what runs before this one have committed
  std::map<std::string, Amount> of_run_;
  std::string asked_;
  int for_pause_ = 0;
  bool streaming_ = false;
};

Tally play(std::uint64_t first, std::uint64_t sequences) {
  Tally tally;
  LightningWorld world;
  const int many = static_cast<int>(sequences);
  for (std::uint64_t seed = first; seed < first + sequences; ++seed) {
    CAPTURE(seed);
    Walk(world, seed, tally).play();
  }
  CHECK(tally.deaths > many / 4);
  CHECK(tally.openings > many);
  CHECK(tally.top_ups > many / 10);
  CHECK(tally.bearers > many / 2);
  CHECK(tally.charges > many / 10);
  CHECK(tally.refused > many / 2);
  CHECK(tally.resumed > many / 10);
  return tally;
}

TEST_CASE("a hostile server and a dying client: nothing leaves uncounted") {
  play(0, 15);
}

TEST_SUITE_BEGIN("long");

TEST_CASE("a hostile server and a dying client, 5 000 times" * doctest::skip()) {
  const Tally tally = play(1'000, 5'000);
  MESSAGE(tally.paid << " payments, " << tally.openings << " openings, " << tally.top_ups
                     << " top-ups, " << tally.charges << " charges, " << tally.deaths << " deaths, "
                     << tally.resumed << " resumed, " << tally.declined << " declined");
}

TEST_SUITE_END();

}  // namespace
}  // namespace paycurl::lightning
