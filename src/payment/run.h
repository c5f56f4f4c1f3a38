// Inside of the flow: what flow.cpp (asking, choosing, signing), delivery.cpp (behind the
// signature), signing.cpp (for somebody else) and session_run.cpp (channels, streams) share. Nobody
// else includes this.
#pragma once

#include <algorithm>

#include "src/http/sse.h"
#include "src/payment/flow.h"

namespace paycurl {

/// One use of a Flow: its state while it asks, pays and delivers.
class Flow::Run {
 public:
  Run(FlowParts& parts, const FlowOptions& options);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Outcome run(http::Request request);
  Outcome sign(const http::Answer& answer);
  Outcome resume(Row row);

 private:
  /// Of an answer that only explains.
  static constexpr std::size_t kMaxProblem = 64UL * 1024;
  static constexpr http::Duration kProblemTime = std::chrono::seconds(2);

  /// What becomes of an answer's body.
  enum class Fate { deliver, collect, discard, retry };

  /// One exchange, told to the audience as its head decides.
  class Leg : public http::Stream {
   public:
    Leg(Run& run, const http::Request& request, bool paid)
        : run_(run), url_(request.url), paid_(paid) {}

    Result<> head(const http::Head& head) override {
      head_ = head;
      fate_ = paid_ ? run_.fate_of_paid(head, url_) : run_.fate_of_unpaid(head);
      if (fate_ == Fate::collect || fate_ == Fate::retry) {
        run_.parts_.client.limit(id_, kProblemTime);
      }
      if (fate_ == Fate::retry) return {};
      if (!paid_ && fate_ == Fate::deliver) {
        if (auto wanted = run_.refuse_free(head); !wanted) return wanted;
      }
      if (fate_ == Fate::deliver) {
        if (auto fits = run_.refuse_large(head, paid_); !fits) return fits;
      }
      const HeadRole role = fate_ == Fate::deliver   ? HeadRole::answer
                            : fate_ == Fate::discard ? HeadRole::redirect
                            : paid_                  ? HeadRole::refusal
                                                     : HeadRole::challenge;
      return run_.parts_.audience.head(head, role);
    }

    Result<> data(std::string_view bytes) override {
      if (fate_ == Fate::deliver) return run_.deliver_bytes(bytes, paid_);
      if (fate_ == Fate::discard) return {};
      collected_ += bytes.substr(0, kMaxProblem - std::min(kMaxProblem, collected_.size()));
      if (collected_.size() < kMaxProblem) return {};
      return Error{Kind::internal, "enough of the body is here"};
    }

    void done(Result<> result, const http::Stats& stats) override {
      result_ = std::move(result);
      stats_ = stats;
      // A body that only explains is not worth failing for.
      const bool signalled = !result_ && (result_.error().kind == Kind::interrupted ||
                                          result_.error().kind == Kind::terminated);
      if (head_ && fate_ != Fate::deliver && !signalled) result_ = {};
    }

    void send(http::Request request) {
      id_ = run_.leg_ = run_.parts_.client.start(std::move(request), *this);
      run_.parts_.client.run();
      const http::Stats before = std::exchange(run_.outcome_.stats, stats_);
      run_.outcome_.stats.connections += before.connections;
      run_.outcome_.stats.total += before.total;
      run_.outcome_.stats.redirect = before.total;
      run_.outcome_.stats.head_size += before.head_size;
      run_.outcome_.stats.request_size += before.request_size;
      if (head_) {
        run_.outcome_.head = head_;
        run_.outcome_.url = url_;
      }
    }

    bool is_delivery() const { return head_ && fate_ == Fate::deliver; }
    bool is_redirect() const { return head_ && fate_ == Fate::discard; }
    bool is_transient() const { return head_ && fate_ == Fate::retry; }
    const std::optional<http::Head>& head() const { return head_; }
    const Result<>& result() const { return result_; }
    const http::Stats& stats() const { return stats_; }
    const http::Url& url() const { return url_; }
    std::string& collected() { return collected_; }

   private:
    Run& run_;
    http::Url url_;
    bool paid_;
    int id_ = 0;
    std::optional<http::Head> head_;
    Fate fate_ = Fate::deliver;
    std::string collected_;
    Result<> result_;
    http::Stats stats_;
  };

  void set_error(Error error) {
    outcome_.error = std::move(error);
    if (outcome_.payment == PaymentStatus::none) outcome_.payment = PaymentStatus::not_sent;
  }
  Outcome fail(Error error) {
    set_error(std::move(error));
    return std::move(outcome_);
  }

  /// Over plain http or unverified TLS.
  bool allows_http(const http::Url& url) const {
    return paycurl::allows_http(parts_.limits.files, url.origin(), options_.preference.allow_http);
  }
  bool take_token();
  Outcome token_refused(const http::Answer& answer);
  void keep_token();
  std::optional<http::Answer> ask();
  std::optional<http::Answer> ask_once();
  bool may_ask_again();
  bool plan_retry(std::optional<http::Duration> wait, const std::string& why);
  const Protocol* protocol_for(const http::Head& head) const;
  const Protocol* protocol_named(std::string_view name) const;
  Fate fate_of_unpaid(const http::Head& head);
  Fate fate_of_paid(const http::Head& head, const http::Url& url);
  Result<> refuse_free(const http::Head& head) const;
  Result<> refuse_large(const http::Head& head, bool paid);
  Result<> deliver_bytes(std::string_view bytes, bool paid);
  Result<> pass_on(std::string_view bytes, bool paid);

  std::vector<Offer> read_offers(const http::Answer& answer);
  Millis clock_offset(const http::Head& head);
  Outcome pay(const http::Answer& answer);
  Outcome purchase(const Offer* chosen);
  bool take_known_offer();
  Result<std::optional<Row>> take_up_for_key(const Row& row);
  Result<> compare_price(const Offer& offer);
  Result<> begin_row(const Offer& offer, std::optional<Row> earlier);
  Result<bool> finish_doubts(const std::vector<Row>& doubts, const Offer& offer,
                             std::optional<Row>& earlier);
  Outcome sign_and_deliver(const Offer& offer);
  void end_row();
  std::optional<Credential> make_credential(const Offer& offer);
  Result<> ask_again_if_expired(const Offer*& chosen);
  Result<> complete_quote(const Offer& chosen);
  std::string without_proofs(std::string text) const;
  void hide_proofs(Receipt& receipt) const;
  Result<Row> new_row(const Offer& offer, const Payer& payer) const;

  void deliver(const Protocol& protocol, const Credential& credential, Method& method);
  void keep_to_loopback(http::Request& request) const;
  Result<http::Request> paid_request(const Protocol& protocol, const Credential& credential) const;
  bool send_paid(const http::Request& request, std::optional<Leg>& leg);
  void after_answer(Leg& leg, Method& method);
  void after_delivery(Leg& leg, Method& method);
  void after_refusal(Leg& leg, Method& method);
  void after_nothing(const Leg& leg, bool anything_sent);
  void write(const Row& row);
  void save(PaymentStatus status, std::optional<Error> error);
  void save_answered();
  void doubt(std::string why, std::string reason, int transport = 0);
  void settled_without(std::string why, std::string reason);
  std::optional<Row> take_up(const Row& row);
  bool is_still_valid() const;
  std::optional<Error> send_again(const Protocol& protocol, Method& method);
  void look_up_doubt(Method& method, const std::string& why_not);
  bool finish_doubt(Row row, const Protocol& protocol, Method& method);
  void settle_by_rail(Method& method);

  // Signing for somebody else's request: signing.cpp
  Result<> begin_signing(const Offer& offer);
  bool take_earlier_signing(const Offer& offer);
  Result<> refuse_second_payment(const Offer& offer);
  void hand_out(const Credential& credential);
  void settle_signing(Method& method);

  // Sessions: session_run.cpp
  class Aside;
  std::optional<Offer> offer_of(const Row& row, Method& method) const;
  Outcome pay_by_session(const Offer& offer, std::optional<Row> earlier);
  std::optional<Json> ask_for_snapshot(const Offer& offer);
  std::optional<Json> prove_for_snapshot(const http::Answer& asked, Method& method);
  void converse(Session::Step step, Method& method);
  Result<http::Request> request_alone(const Session::Step& step) const;
  Session::Reply send_alone(const Session::Step& step);
  void hide(const Credential& credential);
  Session::Reply reply_of(const http::Answer& answer) const;
  void take_session_answer(const http::Head& head);
  void note_row();
  void start_over();
  void session_refused(const Error& error, Method& method);
  void after_session_delivery(Leg& leg, Method& method);
  void remember_offer(const Challenge& challenge);
  Result<> feed_stream(std::string_view bytes);
  Result<> take_event(const http::ServerEvent& event);
  Result<> answer_event(std::string_view name, const Json& data);
  void send_aside(Session::Step step);
  void aside_done(const Result<>& result, const http::Answer& answer);
  void stop_stream(const Error& why);
  class SocketTalk;
  Outcome free_socket(const http::Answer& probe);
  void talk_on_socket(const Session::Step& step, Method& method);

  FlowParts& parts_;
  const FlowOptions& options_;
  http::Request request_;
  Outcome outcome_;
  Spender* spender_ = nullptr;
  const Protocol* protocol_ = nullptr;
  std::optional<Spool> spool_;
  Row row_;
  std::vector<Event> events_;
  int pieces_until_saved_ = 0;  // of the body, until the row says that it was answered
  bool has_left_ = false;       // a credential, now or in an earlier run
  bool sent_before_ = false;    // the credential left already, and its answer was lost
  bool can_resend_ = true;      // the request of a row in doubt is whole
  std::optional<Error> sink_failure_;
  std::optional<Retries> retries_;       // of what is being asked
  std::optional<http::Duration> retry_;  // what came is not the last: wait that long

  bool signing_ = false;   // somebody else makes the request
  bool resuming_ = false;  // nothing new is signed
  int leg_ = 0;            // the exchange that carries the answer
  std::unique_ptr<Session> session_;
  std::optional<Challenge> offered_;         // what the session pays
  std::optional<http::EventParser> parser_;  // of the stream that it pays
  std::string passed_on_;                    // of the stream, since the last write
  std::unique_ptr<Aside> aside_;             // a step beside the stream
  std::optional<Session::Step> aside_step_;  // what it carries
  bool aside_repeated_ = false;
  std::optional<std::pair<std::string, Json>> waiting_event_;  // came while a step was on its way
  bool has_token_ = false;           // the request carries one that was paid for before
  std::string token_;                // the credential that left, when it is good for more
  std::vector<std::string> proofs_;  // that are not to be seen in what the server says
};

}  // namespace paycurl
