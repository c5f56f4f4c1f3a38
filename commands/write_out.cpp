#include "commands/write_out.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "src/base/json.h"
#include "src/base/text.h"
#include "src/http/client.h"

namespace paycurl {
namespace {

/// Six decimals, as curl writes times.
std::string seconds(double millis) {
  std::array<char, 48> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), millis / 1000,
                                 std::chars_format::fixed, 6);
  return {text.data(), end.ptr};
}

std::string three_digits(int status) {
  const std::string digits = std::to_string(status);
  return std::string(3 - std::min<std::size_t>(3, digits.size()), '0') + digits;
}

std::string whole(double value) {
  return std::to_string(static_cast<long long>(value));
}

std::string header_of(const Outcome& outcome, std::string_view name) {
  const std::string* value = outcome.head ? outcome.head->headers.find(name) : nullptr;
  return value == nullptr ? "" : *value;
}

/// A line for each field, as curl writes it.
std::string header_json(const Outcome& outcome) {
  std::vector<std::string> done;
  std::string lines;
  for (const http::Header& field : outcome.head ? outcome.head->headers : http::Headers()) {
    const std::string name = lower(field.name);
    if (std::find(done.begin(), done.end(), name) != done.end()) continue;
    done.push_back(name);
    Json values = Json::array();
    for (const std::string& value : outcome.head->headers.values(name)) {
      values.push(value);
    }
    lines += (lines.empty() ? "" : ",\n") + Json(name).dump() + ":" + values.dump();
  }
  return "{" + lines + "\n}";
}

using Fill = std::string (*)(const WriteOutFacts&);
struct Variable {
  std::string_view name;
  Fill fill;
};

int exit_code(const WriteOutFacts& facts) {
  return facts.outcome.error ? facts.outcome.error->exit_status() : 0;
}

const Money* paid(const WriteOutFacts& facts) {
  return facts.outcome.row && facts.outcome.payment != PaymentStatus::not_sent
             ? &facts.outcome.row->paid
             : nullptr;
}

constexpr std::array<Variable, 49> kVariables{{
    {"certs",
     [](const WriteOutFacts& f) {
       std::string all;
       for (const std::string& pem : f.outcome.stats.certificates) {
         all += pem + (pem.ends_with('\n') ? "" : "\n");
       }
       return all;
     }},
    {"content_type", [](const WriteOutFacts& f) { return header_of(f.outcome, "content-type"); }},
    {"errormsg",
     [](const WriteOutFacts& f) { return f.outcome.error ? f.outcome.error->message : ""; }},
    {"exitcode", [](const WriteOutFacts& f) { return std::to_string(exit_code(f)); }},
    {"filename_effective", [](const WriteOutFacts& f) { return f.file; }},
    {"ftp_entry_path", [](const WriteOutFacts&) { return std::string(); }},
    {"header_json", [](const WriteOutFacts& f) { return header_json(f.outcome); }},
    {"http_code",
     [](const WriteOutFacts& f) {
       return three_digits(f.outcome.head ? f.outcome.head->status : 0);
     }},
    {"http_connect", [](const WriteOutFacts&) { return std::string("000"); }},
    {"http_version",
     [](const WriteOutFacts& f) { return f.outcome.head ? f.outcome.head->version : "0"; }},
    {"local_ip", [](const WriteOutFacts& f) { return f.outcome.stats.local_ip; }},
    {"local_port",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.local_port); }},
    {"method", [](const WriteOutFacts& f) { return f.request.method; }},
    {"num_certs",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.certificates.size()); }},
    {"num_connects",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.connections); }},
    {"num_headers",
     [](const WriteOutFacts& f) {
       const auto& head = f.outcome.head;
       return std::to_string(head ? std::distance(head->headers.begin(), head->headers.end()) : 0);
     }},
    {"num_redirects", [](const WriteOutFacts& f) { return std::to_string(f.outcome.redirects); }},
    {"payment_amount",
     [](const WriteOutFacts& f) {
       return paid(f) ? format_units(paid(f)->amount, paid(f)->asset.decimals) : "";
     }},
    {"payment_currency",
     [](const WriteOutFacts& f) { return paid(f) ? paid(f)->asset.symbol : ""; }},
    {"payment_fee",
     [](const WriteOutFacts& f) {
       return paid(f) ? format_units(f.outcome.row->fee, f.outcome.row->given().asset.decimals)
                      : "";
     }},
    {"payment_id", [](const WriteOutFacts& f) { return f.outcome.row ? f.outcome.row->id : ""; }},
    {"payment_method",
     [](const WriteOutFacts& f) {
       return paid(f) ? f.outcome.row->method + "/" + f.outcome.row->intent : "";
     }},
    {"payment_reference",
     [](const WriteOutFacts& f) {
       return f.outcome.row ? f.outcome.row->reference.value_or("") : "";
     }},
    {"payment_status",
     [](const WriteOutFacts& f) { return std::string(name_of(f.outcome.payment)); }},
    {"payment_total",
     [](const WriteOutFacts& f) {
       std::string sum;
       for (const Money& money : f.total) {
         sum += (sum.empty() ? "" : ", ") + describe(money);
       }
       return sum;
     }},
    {"proxy_ssl_verify_result", [](const WriteOutFacts&) { return std::string("0"); }},
    {"redirect_url", [](const WriteOutFacts& f) { return f.outcome.redirect_url; }},
    {"referer",
     [](const WriteOutFacts& f) {
       const std::string* referer = f.request.headers.find("referer");
       return referer == nullptr ? "" : *referer;
     }},
    {"remote_ip", [](const WriteOutFacts& f) { return f.outcome.stats.remote_ip; }},
    {"remote_port",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.remote_port); }},
    {"response_code",
     [](const WriteOutFacts& f) {
       return three_digits(f.outcome.head ? f.outcome.head->status : 0);
     }},
    {"scheme",
     [](const WriteOutFacts& f) {
       const http::Url& url = f.outcome.url ? *f.outcome.url : f.request.url;
       return std::string(url.scheme == "http" ? "HTTP" : "HTTPS");
     }},
    {"size_download",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.received); }},
    {"size_header",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.head_size); }},
    {"size_request",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.request_size); }},
    {"size_upload", [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.sent); }},
    {"speed_download",
     [](const WriteOutFacts& f) { return whole(f.outcome.stats.download_speed); }},
    {"speed_upload", [](const WriteOutFacts& f) { return whole(f.outcome.stats.upload_speed); }},
    {"ssl_verify_result",
     [](const WriteOutFacts& f) { return std::to_string(f.outcome.stats.tls_verify_result); }},
    {"time_appconnect", [](const WriteOutFacts& f) { return seconds(f.outcome.stats.tls); }},
    {"time_connect", [](const WriteOutFacts& f) { return seconds(f.outcome.stats.connect); }},
    {"time_namelookup",
     [](const WriteOutFacts& f) { return seconds(f.outcome.stats.name_lookup); }},
    {"time_pretransfer",
     [](const WriteOutFacts& f) { return seconds(f.outcome.stats.pretransfer); }},
    {"time_redirect", [](const WriteOutFacts& f) { return seconds(f.outcome.stats.redirect); }},
    {"time_starttransfer",
     [](const WriteOutFacts& f) { return seconds(f.outcome.stats.first_byte); }},
    {"time_total", [](const WriteOutFacts& f) { return seconds(f.outcome.stats.total); }},
    {"url", [](const WriteOutFacts& f) { return f.url; }},
    {"url_effective",
     [](const WriteOutFacts& f) { return f.outcome.url ? f.outcome.url->text : f.url; }},
    {"urlnum", [](const WriteOutFacts& f) { return std::to_string(f.number); }},
}};

/// %{json}: all variables but %{header_json}, numbers as numbers where curl has them so.
std::string all_as_json(const WriteOutFacts& facts) {
  constexpr std::array<std::string_view, 5> kNumbers{"num_", "size_", "speed_", "time_", "ssl_"};
  constexpr std::array<std::string_view, 8> kMoreNumbers{
      "exitcode",    "http_code",     "http_connect", "local_port",
      "remote_port", "response_code", "urlnum",       "proxy_ssl_verify_result"};
  Json json = Json::object();
  for (const Variable& variable : kVariables) {
    if (variable.name == "header_json") continue;
    std::string value = variable.fill(facts);
    const bool is_number =
        std::any_of(kNumbers.begin(), kNumbers.end(),
                    [&](auto start) { return variable.name.starts_with(start); }) ||
        std::find(kMoreNumbers.begin(), kMoreNumbers.end(), variable.name) != kMoreNumbers.end();
    const std::size_t digits = value.find_first_not_of('0');
    if (is_number && digits != 0 && digits < value.size() && value[digits] != '.') {
      value.erase(0, digits);  // 007
    } else if (is_number && digits == std::string::npos) {
      value = "0";
    }
    const auto number = is_number ? Json::parse(value) : Result<Json>(Json(value));
    json.set(std::string(variable.name), number ? *number : Json(value));
  }
  return json.dump();
}

std::string value_of(std::string_view name, const WriteOutFacts& facts, std::string& unknown) {
  if (name == "json") return all_as_json(facts);
  for (const Variable& variable : kVariables) {
    if (variable.name == name) return variable.fill(facts);
  }
  unknown = name;
  return "";
}

}  // namespace

WrittenOut write_out(std::string_view format, const WriteOutFacts& facts) {
  constexpr std::string_view kHeader = "%header{";
  WrittenOut written;
  std::string* out = &written.to_stdout;
  while (!format.empty()) {
    const std::size_t brace = format.find('}');
    if (format.starts_with("%%")) {
      *out += '%';
      format.remove_prefix(2);
    } else if (format.starts_with("%{") && brace != std::string_view::npos) {
      const std::string_view name = format.substr(2, brace - 2);
      format.remove_prefix(brace + 1);
      if (name == "onerror" && exit_code(facts) == 0) break;
      if (name == "stdout" || name == "stderr") {
        out = name == "stdout" ? &written.to_stdout : &written.to_stderr;
      } else if (name != "onerror") {
        *out += value_of(name, facts, written.unknown);
      }
    } else if (format.starts_with(kHeader) && brace != std::string_view::npos) {
      *out += header_of(facts.outcome, format.substr(kHeader.size(), brace - kHeader.size()));
      format.remove_prefix(brace + 1);
    } else if (format.starts_with("\\n") || format.starts_with("\\r") ||
               format.starts_with("\\t")) {
      *out += format[1] == 'n' ? '\n' : format[1] == 'r' ? '\r' : '\t';
      format.remove_prefix(2);
    } else if (format[0] == '\\') {  // another letter stays, with the one before it
      *out += format.substr(0, 2);
      format.remove_prefix(std::min<std::size_t>(2, format.size()));
    } else {
      *out += format.front();
      format.remove_prefix(1);
    }
  }
  return written;
}

}  // namespace paycurl
