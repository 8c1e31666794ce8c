// CalibrationTable as two files: a JSON that a person can read, and `<path>.bin` with what is long, as
// little-endian int64 and double: for each value in order of names its histogram's bins from the first
// to the last that is not empty, then channel minima, maxima, sums and sums of squares.
#include <algorithm>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "qtool/calibrate.hpp"

static_assert(std::endian::native == std::endian::little);

namespace qtool {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kSchema = "qtool.calibration/1";
constexpr int64_t kBins = 2 * Histogram::kHalf;

fs::path binary_path(fs::path path) { return path += ".bin"; }

template <typename T>
void append(std::string& bytes, std::span<const T> values) {
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

Json value_json(const ValueStats& s, std::string& bytes) {
  const std::vector<int64_t>& counts = s.histogram.counts();
  const auto filled = [](int64_t c) { return c != 0; };
  const auto begin = std::find_if(counts.begin(), counts.end(), filled);
  const auto end = std::find_if(counts.rbegin(), counts.rend(), filled).base();
  append<int64_t>(bytes, std::span(begin, std::max(begin, end)));
  for (const auto* channel :
       {&s.channel_min, &s.channel_max, &s.channel_sum, &s.channel_sum_squares}) {
    if (channel->size() != s.channel_min.size())
      throw_internal("channel statistics differ in length");
    append<double>(bytes, *channel);
  }
  const Json histogram = {{"exponent", s.histogram.exponent()},
                          {"first", begin - counts.begin()},
                          {"bins", std::max(begin, end) - begin}};
  return {{"count", s.count},
          {"samples", s.samples},
          {"infinite", s.infinite},
          {"min", s.min},
          {"max", s.max},
          {"sum", s.sum},
          {"sum_squares", s.sum_squares},
          {"shape", s.shape},
          {"channels", s.channel_min.size()},
          {"histogram", histogram}};
}

// The numbers of the side file, handed out in order.
class Reader {
 public:
  explicit Reader(std::string bytes) : bytes_(std::move(bytes)) {}
  template <typename T>
  std::vector<T> take(size_t count) {
    if (count > (bytes_.size() - at_) / sizeof(T))
      throw_usage("QT-E140", "it describes more numbers than its .bin file holds");
    std::vector<T> values(count);
    if (count) std::memcpy(values.data(), bytes_.data() + at_, count * sizeof(T));
    at_ += count * sizeof(T);
    return values;
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::string bytes_;
  size_t at_ = 0;
};

ValueStats read_value(const Json& json, Reader& reader) {
  ValueStats s;
  for (auto [key, field] :
       {std::pair{"count", &s.count}, {"samples", &s.samples}, {"infinite", &s.infinite}}) {
    *field = json.at(key).get<int64_t>();
    if (*field < 0) throw_usage("QT-E140", cat("a negative ", key));
  }
  s.min = json.at("min");
  s.max = json.at("max");
  s.sum = json.at("sum");
  s.sum_squares = json.at("sum_squares");
  s.shape = json.at("shape").get<Shape>();
  const Json& histogram = json.at("histogram");
  const auto exponent = histogram.at("exponent").get<int64_t>(),
             first = histogram.at("first").get<int64_t>(),
             bins = histogram.at("bins").get<int64_t>();
  if (exponent < -126 || exponent > 128 || first < 0 || bins < 0 || bins > kBins ||
      first > kBins - bins) {
    throw_usage("QT-E140", "a histogram out of bounds");
  }
  const std::vector<int64_t> filled = reader.take<int64_t>(static_cast<size_t>(bins));
  if (std::any_of(filled.begin(), filled.end(), [](int64_t c) { return c < 0; }))
    throw_usage("QT-E140", "a negative count");
  if (bins > 0) {
    std::vector<int64_t> counts(kBins);
    std::copy(filled.begin(), filled.end(), counts.begin() + first);
    s.histogram = Histogram::from_parts(static_cast<int>(exponent), std::move(counts));
  }
  const auto channels = json.at("channels").get<int64_t>();
  if (channels < 0) throw_usage("QT-E140", "a negative number of channels");
  for (auto* channel : {&s.channel_min, &s.channel_max, &s.channel_sum, &s.channel_sum_squares}) {
    *channel = reader.take<double>(static_cast<size_t>(channels));
  }
  return s;
}

CalibrationTable read_table(const Json& json, const fs::path& path) {
  if (json.at("schema") != kSchema) throw_usage("QT-E140", cat("it is not a ", kSchema));
  std::string bytes = read_file(binary_path(path), ErrorKind::kUsage);
  if (sha256_hex(bytes) != json.at("binary").at("sha256").get<std::string>())
    throw_usage("QT-E140", "its .bin file is of another run or damaged");
  Reader reader(std::move(bytes));
  CalibrationTable table;
  table.model_fingerprint = json.at("model_fingerprint");
  table.samples = json.at("samples");
  table.random_data = json.at("random_data");
  for (const auto& [name, value] : json.at("values").items())
    table.values[name] = read_value(value, reader);
  if (!reader.at_end()) throw_usage("QT-E140", "its .bin file holds more than it describes");
  return table;
}

}  // namespace

void save_calibration(const CalibrationTable& table, const fs::path& path) {
  Json values = Json::object();
  std::string bytes;
  for (const auto& [name, stats] : table.values) values[name] = value_json(stats, bytes);
  const Json json = {{"schema", kSchema},
                     {"model_fingerprint", table.model_fingerprint},
                     {"samples", table.samples},
                     {"random_data", table.random_data},
                     {"binary", {{"sha256", sha256_hex(bytes)}}},
                     {"values", std::move(values)}};
  std::string text;
  try {
    text = json.dump(1) + "\n";
  } catch (const Json::type_error&) {
    throw_model("QT-E331", "a value's name is not UTF-8 and cannot be written to the calibration");
  }
  write_file_atomic(binary_path(path), bytes);
  write_file_atomic(path, text);
}

CalibrationTable load_calibration(const fs::path& path) {
  try {
    return read_table(Json::parse(read_file(path, ErrorKind::kUsage)), path);
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::kUsage, "QT-E140",
                cat("calibration '", printable(path.string()), "': ", printable(e.what())))
        .hint("run `qtool calibrate` again");
  } catch (Error& error) {
    if (error.hint_text().empty()) error.hint("run `qtool calibrate` again");
    error.context(cat("while reading calibration '", printable(path.string()), "'"));
    throw;
  }
}

}  // namespace qtool
