#include "commands/closing.h"

#include "commands/json.h"
#include "commands/output.h"
#include "src/base/text.h"

namespace paycurl {
namespace {

constexpr std::size_t kMaxAnswer = 64UL * 1024;

class Closing {
 public:
  Closing(Channel channel, const ClosePlan& plan, const Network& network, Spender& spender)
      : plan_(plan), network_(network), spender_(spender), channels_(spender.channels()) {
    closed_.channel = std::move(channel);
    for (const auto& method : network.methods) {
      if (method->name() == closed_.channel.method) method_ = method.get();
    }
  }

  Closed run() {
    if (auto done = close(); !done) closed_.error = done.error();
    return std::move(closed_);
  }

 private:
  Channel& channel() { return closed_.channel; }

  Result<> close();
  Result<> with_payee();
  Result<> take_word_of(const http::Answer& answer);
  Result<http::Answer> post(const Credential* credential);
  Result<Credential> ask_numbers(const Challenge& challenge);
  Result<Challenge> challenge_of(const http::Answer& answer) const;
  Result<> without_payee(const Error& why);
  Result<> take_back();
  Result<Escrow::Facts> facts();
  Result<> ended(const char* how, Amount returned);

  const ClosePlan& plan_;
  const Network& network_;
  Spender& spender_;
  Channels& channels_;
  Method* method_ = nullptr;
  const Protocol* protocol_ = nullptr;
  Closed closed_;
  std::vector<std::string> proofs_;
};

Result<> Closing::close() {
  if (method_ == nullptr || method_->escrow() == nullptr) {
    return Error{Kind::unsupported,
                 "this paycurl cannot close sessions of " + printable(channel().method, 40)};
  }
  auto lock = channels_.lock(channel().scope, plan_.patience);
  if (!lock) return lock.error();
  if (auto fresh = channels_.get(channel().id); fresh && *fresh) {
    closed_.channel = std::move(**fresh);
  }
  if (auto unlocked = spender_.unlock(); !unlocked) return unlocked;
  if (channel().status == ChannelStatus::closed) {
    const auto now = facts();  // what somebody said once may have been wrong
    if (!now || !now->exists) return ended("already", Amount());
    channel().status = now->withdrawable ? ChannelStatus::closing : ChannelStatus::open;
  }
  if (channel().status == ChannelStatus::closing || plan_.finalize) return take_back();
  const auto helped = with_payee();
  return helped ? helped : without_payee(helped.error());
}

Result<> Closing::ended(const char* how, Amount returned) {
  closed_.status = "closed";
  closed_.how = how;
  if (std::string_view(how) != "already") closed_.returned = Money{returned, channel().asset};
  channel().status = ChannelStatus::closed;
  channel().withdrawable.reset();
  channel().opening.clear();
  return channels_.save(channel());
}

/// Without a body: it is about the payment and asks for nothing.
Result<http::Answer> Closing::post(const Credential* credential) {
  auto url = http::parse_url(channel().url);
  if (!url) return url.error();
  http::Request request;
  request.method = method_->escrow()->close_method(channel());
  request.url = std::move(*url);
  if (request.method != "GET") request.headers.add("Content-Length", "0");
  request.headers.add("Accept-Payment", channel().method + "/session");
  request.deadlines = plan_.deadlines;
  request.reach = plan_.reach;
  if (request.url.scheme == "https" && plan_.unverified_tls && !plan_.allow_http) {
    return Error{Kind::declined, "-k left the server unverified, and it would get a credential",
                 "leave -k out; --allow-http takes the risk", "insecure"};
  }
  if (request.url.scheme == "http" && !plan_.allow_http) {
    request.peers = http::PeerRule::direct_loopback;
  }
  if (credential != nullptr) {
    if (!credential->proof.empty()) {
      proofs_.push_back(credential->proof);
      hide_from_stderr(credential->proof);  // also where a server repeats it
    }
    if (auto attached = protocol_->attach(*credential, request); !attached) return attached.error();
  }
  auto answer = http::fetch(*network_.client, std::move(request), kMaxAnswer);
  for (const std::string& proof : proofs_) {
    if (answer) remove_all(answer->body, proof);
  }
  return answer;
}

Result<Challenge> Closing::challenge_of(const http::Answer& answer) const {
  for (auto& challenge : protocol_->read(answer)) {
    if (!challenge || challenge->method != method_->name() || challenge->intent != "session") {
      continue;
    }
    const auto scope = method_->escrow()->scope(*challenge, closed_.channel.payer);
    if (scope && *scope == closed_.channel.scope) return std::move(*challenge);
  }
  return Error{Kind::protocol, "the server offers no session of this kind any more", "",
               "no_offer"};
}

/// The payee counts more as spent than we know of: its receipt says how much, up to what we signed.
Result<Credential> Closing::ask_numbers(const Challenge& challenge) {
  const auto question = method_->escrow()->ask(channel(), challenge, spender_);
  if (!question) return question.error();
  const auto answer = post(&*question);
  if (!answer) return answer.error();
  const auto receipt = protocol_->receipt(answer->head);
  if (!receipt) return receipt.error();
  if (!*receipt) return Error{Kind::protocol, "the server does not tell what was spent"};
  if (auto taken = take_numbers(**receipt, channel()); !taken) return taken.error();
  if (auto saved = channels_.save(channel()); !saved) return saved.error();
  return method_->escrow()->close(channel(), challenge, spender_);
}

/// A payee that says it is done. What proves it is the method's to know; without a proof the rail
/// is asked, as what is booked as closed is not looked for any more.
Result<> Closing::take_word_of(const http::Answer& answer) {
  const auto receipt = protocol_->receipt(answer.head);
  const auto ending = method_->escrow()->ended(
      channel(), answer, receipt ? *receipt : std::optional<Receipt>(), spender_);
  if (ending) {
    closed_.reference = ending->reference;
    closed_.error = ending->missing;
    return ended("cooperative", ending->returned);
  }
  const auto now = facts();
  if (!now || now->exists) {
    return Error{Kind::rejected,
                 "the server says that it closed the session, but " + ending.error().message, "",
                 "refused"};
  }
  return ended("cooperative", channel().remaining());
}

Result<> Closing::with_payee() {
  if (channel().url.empty()) {
    return Error{Kind::session, "no server is known for this session", "", "orphaned"};
  }
  for (const auto& protocol : network_.protocols) {
    if (protocol->name() == "mpp") protocol_ = protocol.get();
  }
  const auto offered = post(nullptr);
  if (!offered) return offered.error();
  const auto challenge = challenge_of(*offered);
  if (!challenge) return challenge.error();
  auto credential = method_->escrow()->close(channel(), *challenge, spender_);
  for (int attempt = 1; credential; ++attempt) {
    const auto answer = post(&*credential);
    if (!answer) return answer.error();
    if (answer->head.status < 300) {
      return take_word_of(*answer);
    }
    const auto problem = parse_problem(answer->body);
    const std::string said =
        problem ? problem->text() : "status " + std::to_string(answer->head.status);
    const Error refused{Kind::rejected, "the server does not close the session: " + said, "",
                        "refused"};
    if (attempt == 2 || channel().spent == channel().signed_amount) return refused;
    credential = ask_numbers(*challenge);
    if (!credential) return refused;
  }
  return credential.error();
}

Result<Escrow::Facts> Closing::facts() {
  const auto found = method_->escrow()->look_at(
      {channel()}, [this](const Channel&) { return Result<Spender*>(&spender_); },
      *network_.client);
  if (!found) return found.error();
  return found->front();
}

/// The payee did not help. It may have closed the channel all the same, or earlier.
Result<> Closing::without_payee(const Error& why) {
  const auto now = facts();
  if (now && !now->exists) {
    if (channel().status != ChannelStatus::opening) return ended("already", Amount());
    if (system_now() >= channel().opening_until) return ended("already", Amount());
  }
  if (now && now->withdrawable) {
    channel().withdrawable = now->withdrawable;
    channel().status = ChannelStatus::closing;
    if (auto saved = channels_.save(channel()); !saved) return saved;
    return take_back();
  }
  if (!plan_.force) {
    Error error = why;
    if (error.hint.empty() && !channel().escrow.empty()) {
      error.hint = "without the server it takes 15 minutes: paycurl sessions close " +
                   channel().id.substr(0, 10) + " --force";
    }
    return error;
  }
  if (!now) return now.error();
  auto left = method_->escrow()->leave(channel(), false, spender_, *network_.client);
  if (!left) return left.error();
  closed_.status = "closing";
  closed_.how = "forced";
  closed_.reference = *left;
  channel().status = ChannelStatus::closing;
  const auto after = facts();
  channel().withdrawable = after && after->withdrawable ? *after->withdrawable : now->now + 900'000;
  return channels_.save(channel());
}

/// Takes the money of a requested close back, when its time has come.
Result<> Closing::take_back() {
  const auto now = facts();
  if (!now) return now.error();
  if (!now->exists) return ended("already", Amount());
  if (!now->withdrawable) {
    if (channel().status == ChannelStatus::closing) {  // a top-up takes a request back
      channel().status = ChannelStatus::open;
      channel().withdrawable.reset();
      if (auto saved = channels_.save(channel()); !saved) return saved;
    }
    return Error{Kind::session, "no close was requested for this session",
                 "close it first: paycurl sessions close " + channel().id.substr(0, 10), "open"};
  }
  channel().withdrawable = now->withdrawable;
  if (now->now < *now->withdrawable) {
    closed_.status = "closing";
    closed_.how = "forced";
    channel().status = ChannelStatus::closing;
    return channels_.save(channel());
  }
  auto taken = method_->escrow()->leave(channel(), true, spender_, *network_.client);
  if (!taken) return taken.error();
  closed_.reference = *taken;
  channel().spent = now->settled;
  channel().deposit = now->deposit;
  return ended("forced", now->deposit.minus(now->settled).value_or(Amount()));
}

}  // namespace

Closed close_channel(Channel channel, const ClosePlan& plan, const Network& network,
                     Spender& spender) {
  return Closing(std::move(channel), plan, network, spender).run();
}

std::string time_until(Millis time, Millis now) {
  if (time <= now) return "now";
  const std::int64_t seconds = (time - now + 999) / 1000;
  return "in " + std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
}

std::string describe(const Closed& closed) {
  const Channel& channel = closed.channel;
  const std::string name = "session " + shortened(channel.id);
  if (closed.status == "closing") {
    return name + " is closing: the rest can be taken back " +
           time_until(channel.withdrawable.value_or(0), system_now()) +
           " with paycurl sessions close " + channel.id.substr(0, 10) + " --finalize";
  }
  if (closed.how == "already") return name + " was closed already";
  return name + " is closed: " + describe(Money{channel.spent, channel.asset}) + " was spent, " +
         (closed.returned ? describe(*closed.returned) : "the rest") + " came back";
}

Json closed_json(const Closed& closed) {
  const Channel& channel = closed.channel;
  return Json::object(
      {{"id", channel.id},
       {"status", closed.status},
       {"how", Json::or_null(std::string_view(closed.how))},
       {"spent", money_json({channel.spent, channel.asset})},
       {"returned", closed.returned ? money_json(*closed.returned) : Json()},
       {"reference", Json::or_null(closed.reference)},
       {"withdrawableAt",
        channel.withdrawable ? Json(format_rfc3339(*channel.withdrawable)) : Json()},
       {"error", closed.error ? error_json(*closed.error) : Json()}});
}

}  // namespace paycurl
