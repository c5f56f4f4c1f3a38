#include "wallet/spender.h"

namespace paycurl {

Result<> Spender::unlock() {
  if (source_.connection) {
    const auto there = connection();
    return there ? Result<>() : Result<>(there.error());
  }
  const auto there = key();
  return there ? Result<>() : Result<>(there.error());
}

Result<const PrivateKey*> Spender::key() {
  if (key_) return &*key_;
  if (!source_.key) {
    return Error{Kind::account, "account \"" + payer_.account + "\" has no key", "", "no_account"};
  }
  auto opened = source_.key();
  if (!opened) return opened.error();
  if (opened->address().checksummed() != payer_.address) {
    return Error{Kind::account,
                 "the key of account \"" + payer_.account + "\" is not that of " + payer_.address,
                 "pay with the account that began this payment (-a)", "ambiguous"};
  }
  key_ = std::move(*opened);
  return &*key_;
}

Result<const Secret*> Spender::connection() {
  if (!source_.connection) {
    return Error{Kind::account, "account \"" + payer_.account + "\" is no Lightning wallet",
                 "connect one with account connect", "no_account"};
  }
  if (connection_.empty()) {
    auto opened = source_.connection();
    if (!opened) return opened.error();
    connection_ = std::move(*opened);
  }
  return &connection_;
}

/// Adds the money to the row; Kind::internal when it is not the attempt that was begun.
Result<> Spender::describe_in_row(const Spend& spend) {
  if (spend.attempt != row_.id || spend.payer != payer_.address) {
    return Error{Kind::internal, "a payment that was not begun"};
  }
  // What files say of hosts would not be asked.
  if (spend.origin.empty()) return Error{Kind::internal, "a payment to an unknown host"};
  row_.paid.asset = spend.total.asset;
  row_.recipient = spend.payees.empty() ? "" : spend.payees.front().address;
  row_.payer = payer_.address;
  row_.account = payer_.account;
  row_.valid_until = spend.valid_until;
  row_.run = run_;
  if (spend.price) row_.price = spend.price;
  return {};
}

Result<> Spender::would_allow(const Spend& spend) const {
  auto run = ledger_.spent_in_run(run_, limits_.max_spend);
  if (!run) return run.error();
  return paycurl::allow(spend, limits_, {std::move(*run), {}, signed_for_row()});
}

std::vector<Money> Spender::signed_in_this_run() const {
  auto run = ledger_.spent_in_run(run_, limits_.max_spend);
  return run ? std::move(*run) : std::vector<Money>();
}

std::vector<Money> Spender::signed_for_row() const {
  return row_.seq == 0 ? std::vector<Money>() : counted(row_.paid, row_.swap, limits_.max_spend);
}

/// Everything that the limits count, as the journal has it in this transaction. `before` is the row
/// without what `spend` adds.
Result<Spent> Spender::spent(const Row& before, const Spend& spend) {
  const auto daily = limits_by_day(limits_);  // where limits name tokens, swaps count
  auto run = ledger_.spent_in_run(run_, limits_.max_spend);
  auto today = ledger_.spent_today(payer_.address, daily);
  if (!run) return run.error();
  if (!today) return today.error();
  Spent sums{std::move(*run), std::move(*today)};
  if (before.seq != 0) sums.call = counted(before.paid, before.swap, limits_.max_spend);
  if (limits_hosts_by_day(limits_)) {
    auto payments = ledger_.spent_today_by_origin(daily);
    if (!payments) return payments.error();
    sums.by_origin = std::move(*payments);
  }
  if (limits_increase(limits_, spend.origin)) {
    auto price = ledger_.last_price(row_, spend.total.asset);
    if (!price) return price.error();
    sums.last_price = *price;
  }
  return sums;
}

Result<> Spender::check_increase(const Row& row, const Spend& spend) {
  if (!limits_increase(limits_, spend.origin)) return {};
  const auto price = ledger_.last_price(row, spend.total.asset);
  if (!price) return price.error();
  return allow_increase(spend, limits_, {{}, {}, {}, {}, *price});
}

Result<Permit> Spender::allow(const Spend& spend) {
  const Row before = row_;
  if (auto described = describe_in_row(spend); !described) return described.error();
  row_.paid = spend.total;
  row_.swap = spend.swap;
  row_.fee = spend.fee.amount;
  row_.run_amount = spend.total.amount;
  row_.status = PaymentStatus::not_sent;
  const auto may_spend = [&]() -> Result<> {
    const auto sums = spent(before, spend);
    return sums ? paycurl::allow(spend, limits_, *sums) : Result<>(sums.error());
  };
  if (auto written = ledger_.intend(row_, may_spend); !written) return written.error();
  return Permit(row_.id);
}

Result<> Spender::check_permit(Permit&& permit) {
  const Permit used = std::move(permit);
  if (used.attempt_.empty() || used.attempt_ != row_.id) {
    return Error{Kind::internal, "a permit for another payment"};
  }
  if (auto unlocked = unlock(); !unlocked) return unlocked.error();
  // Waiting for a keychain, or a suspended machine, can outlast the offer.
  if (clock_() >= row_.valid_until) {
    return Error{Kind::declined, "the offer expired before it was signed", "run the command again",
                 "expired"};
  }
  return {};
}

Result<> Spender::commit(Permit&& permit, std::string_view rebuild, std::string_view reference) {
  if (auto checked = check_permit(std::move(permit)); !checked) return checked.error();
  row_.reference = reference;
  row_.rebuild = rebuild;
  row_.signed_digest = "";
  if (auto written = ledger_.sign(row_.seq, "", rebuild, row_.reference); !written) return written;
  row_.status = PaymentStatus::unknown;
  return {};
}

void Spender::took_fee(Amount fee) {
  fees_ = fees_.plus(fee).value_or(fees_);
  row_.fee = fees_;
}

Result<> Spender::call_off(const Money& money) {
  if (row_.intent == "session") {
    row_.paid.amount = row_.paid.amount.minus(money.amount).value_or(Amount());
    row_.run_amount = row_.run_amount.minus(money.amount).value_or(Amount());
    row_.fee = fees_;
    return ledger_.reduce(row_);
  }
  row_.status = PaymentStatus::not_sent;
  return ledger_.call_off(row_);
}

Result<Signature> Spender::sign(Permit&& permit, const Digest& digest, std::string_view rebuild,
                                const Reference& reference) {
  if (auto checked = check_permit(std::move(permit)); !checked) return checked.error();
  const auto signer = key();
  if (!signer) return signer.error();
  const Signature signature = (*signer)->sign(digest);
  row_.reference = reference ? reference(signature) : std::nullopt;
  row_.rebuild = rebuild;
  row_.signed_digest = to_hex(digest);
  auto written = ledger_.sign(row_.seq, *row_.signed_digest, rebuild, row_.reference);
  if (!written) return written.error();
  row_.status = PaymentStatus::unknown;
  return signature;
}

Result<> Spender::allow_step(const Row& before, const Step& step) {
  const auto sums = spent(before, step.spend);
  const auto others = escrowed(step.spend.total.asset, step.session);
  if (!sums) return sums.error();
  if (!others) return others.error();
  Spend all = step.spend;  // the limit on deposits is one for all channels of the run
  if (!all.escrow.is_zero()) all.escrow = all.escrow.plus(*others).value_or(all.escrow);
  return paycurl::allow(all, limits_, *sums);
}

Result<std::vector<Signature>> Spender::sign_step(const Step& step) {
  const Spend& spend = step.spend;
  if (auto unlocked = unlock(); !unlocked) return unlocked.error();
  if (step.digests.empty() && clock_() >= spend.valid_until) {  // waiting can outlast the offer
    return Error{Kind::declined, "the offer expired before it was paid", "run the command again",
                 "expired"};
  }
  const Row before = row_;
  if (auto described = describe_in_row(spend); !described) return described.error();
  const auto paid = row_.paid.amount.plus(spend.total.amount);
  const auto fee = row_.fee.plus(spend.fee.amount);
  const Amount before_in_run = before.run == run_ ? before.run_amount : Amount();
  const auto in_run = before_in_run.plus(spend.total.amount);
  if (!paid || !fee || !in_run) {
    return Error{Kind::declined, "more than can be counted", "", "max_spend"};
  }
  row_.paid.amount = *paid;
  row_.fee = *fee;
  row_.run_amount = *in_run;
  row_.session = step.session;
  row_.reference = step.session;
  row_.rebuild = step.rebuild;
  row_.signed_digest = step.digests.empty() ? "" : to_hex(step.digests.front());
  const auto may_spend = [&] { return allow_step(before, step); };
  const auto alongside = [&]() -> Result<> {
    if (auto done = step.alongside(); !done || spend.escrow.is_zero()) return done;
    return ledger_.note_escrow(run_, {step.session, {spend.escrow, spend.total.asset}});
  };
  auto written = ledger_.sign_step(row_, may_spend, alongside);
  if (!written) {
    row_ = before;
    return written.error();
  }
  row_.status = PaymentStatus::unknown;
  std::vector<Signature> signatures;
  for (const Digest& digest : step.digests) {
    const auto signer = key();
    if (!signer) return signer.error();
    signatures.push_back((*signer)->sign(digest));
  }
  return signatures;
}

/// What other channels of this run than `but` have in escrow.
Result<Amount> Spender::escrowed(const Asset& asset, const std::string& but) const {
  const auto all = ledger_.escrowed_in_run(run_);
  if (!all) return all.error();
  Amount sum;
  for (const auto& [session, money] : *all) {
    if (session != but && money.asset == asset) sum = sum.plus(money.amount).value_or(sum);
  }
  return sum;
}

Amount Spender::deposit_limit(const Asset& asset, const std::string& session) const {
  const auto run = ledger_.spent_in_run(run_, limits_.max_spend);
  const auto others = escrowed(asset, session);
  if (!run || !others) return {};
  return paycurl::deposit_limit(asset, limits_, {*run, {}, signed_for_row()}, row_.origin)
      .minus(*others)
      .value_or(Amount());
}

Result<Signature> Spender::sign_covered(const Digest& digest) {
  const auto signer = key();
  if (!signer) return signer.error();
  return (*signer)->sign(digest);
}

Result<Signature> Spender::sign_fee(const Money& fee, const Digest& digest) {
  Spend spend;
  spend.why = Purpose::session;
  spend.total = {Amount(), fee.asset};
  spend.fee = fee;
  if (auto allowed = would_allow(spend); !allowed) return allowed.error();
  return sign_covered(digest);
}

Result<Signature> Spender::sign_again(const Row& row, const Digest& digest) {
  if (row.signed_digest != to_hex(digest) || row.payer != payer_.address) {
    return Error{Kind::internal, "this is not what was signed before"};
  }
  const auto signer = key();
  if (!signer) return signer.error();
  return (*signer)->sign(digest);
}

}  // namespace paycurl
