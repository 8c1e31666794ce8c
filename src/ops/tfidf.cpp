// TfIdfVectorizer: how often each n-gram of a pool occurs in a sequence.
#include <algorithm>
#include <map>
#include <unordered_map>

#include "ops/movable.hpp"

namespace qtool {
namespace {

constexpr int64_t kMaxGram = 64;

// The pool's n-grams as lists of tokens, and what finding one adds to.
struct Pool {
  std::unordered_map<std::string, int64_t> tokens;              // of text: its number
  std::map<std::vector<int64_t>, std::vector<size_t>> entries;  // n-gram: its numbers in the pool
  std::vector<int64_t> columns;
  std::vector<float> weights;
  int64_t width = 0;
};

std::vector<int64_t> pool_items(const Call& call, Pool& pool) {
  const Attribute* text = find_attribute(call.node, "pool_strings");
  require((text != nullptr) != (find_attribute(call.node, "pool_int64s") != nullptr), call,
          "exactly one of pool_strings and pool_int64s is expected");
  if (!text) return call.integers("pool_int64s");
  const auto* list = std::get_if<std::vector<std::string>>(&text->value);
  require(list != nullptr, call, "pool_strings is not a list of strings");
  std::vector<int64_t> items;
  for (const std::string& s : *list) {
    items.push_back(
        pool.tokens.try_emplace(s, static_cast<int64_t>(pool.tokens.size())).first->second);
  }
  return items;
}

Pool read_pool(const Call& call) {
  Pool pool;
  const std::vector<int64_t> items = pool_items(call, pool);
  const std::vector<int64_t> starts = call.integers("ngram_counts");
  pool.columns = call.integers("ngram_indexes");
  pool.weights = attr_floats(call.node, "weights");
  require(pool.weights.empty() || pool.weights.size() == pool.columns.size(), call,
          pool.weights.size(), " weights for ", pool.columns.size(), " n-grams");
  require(!pool.columns.empty() && static_cast<int64_t>(starts.size()) <= kMaxGram, call,
          "ngram_indexes or ngram_counts have the wrong length");
  for (const int64_t c : pool.columns) {
    require(c >= 0 && c < (int64_t{1} << 40), call, "an n-gram index of ", c);
    pool.width = std::max(pool.width, c + 1);
  }
  size_t number = 0;
  for (size_t n = 1; n <= starts.size(); ++n) {
    const auto total = static_cast<int64_t>(items.size());
    const int64_t begin = starts[n - 1], end = n < starts.size() ? starts[n] : total;
    const auto gram = static_cast<int64_t>(n);
    require(begin >= 0 && begin <= end && end <= total && (end - begin) % gram == 0, call,
            "ngram_counts do not divide the pool");
    for (int64_t i = begin; i < end; i += gram, ++number) {
      require(number < pool.columns.size(), call, "more n-grams than ngram_indexes");
      pool.entries[{items.begin() + i, items.begin() + i + gram}].push_back(number);
    }
  }
  return pool;
}

std::vector<int64_t> read_tokens(const Call& call, const Pool& pool) {
  const Tensor& x = call.in(0);
  const bool text = find_attribute(call.node, "pool_strings") != nullptr;
  require(text == (x.dtype() == DType::kString), call, "the input is ", dtype_name(x.dtype()),
          ", which the pool is not");
  if (!text) return index_data(call, 0);
  std::vector<int64_t> tokens;
  for (const std::string& s : x.string_data()) {
    const auto found = pool.tokens.find(s);
    tokens.push_back(found == pool.tokens.end() ? -1 : found->second);
  }
  return tokens;
}

struct Grams {
  int64_t shortest, longest, skips;
};

// Adds the occurrences of every n-gram, with up to `skips` tokens left out between its parts.
void count_grams(const Pool& pool, std::span<const int64_t> row, const Grams& grams,
                 std::vector<float>& counts) {
  const auto length = static_cast<int64_t>(row.size());
  std::vector<int64_t> gram;
  for (int64_t n = grams.shortest; n <= grams.longest; ++n) {
    // Single tokens have nothing between their parts.
    const int64_t steps = n == 1 ? 1 : std::min(grams.skips, length) + 1;
    for (int64_t step = 1; step <= steps; ++step) {
      for (int64_t first = 0; first + (n - 1) * step < length; ++first) {
        gram.clear();
        for (int64_t k = 0; k < n; ++k) gram.push_back(row[static_cast<size_t>(first + k * step)]);
        const auto found = pool.entries.find(gram);
        if (found == pool.entries.end()) continue;
        for (const size_t number : found->second) counts[number] += 1;
      }
    }
  }
}

std::vector<Tensor> eval_tfidf(const Call& call) {
  const Tensor& x = call.in(0);
  const std::string mode = call.text("mode", "");
  require(mode == "TF" || mode == "IDF" || mode == "TFIDF", call, "mode '", printable(mode),
          "' is not known");
  const Grams grams{call.integer("min_gram_length", 0), call.integer("max_gram_length", 0),
                    call.integer("max_skip_count", 0)};
  require(grams.shortest >= 1 && grams.shortest <= grams.longest && grams.longest <= kMaxGram &&
              grams.skips >= 0,
          call, "n-grams of ", grams.shortest, " to ", grams.longest, " with ", grams.skips,
          " skips");
  require(x.rank() == 1 || x.rank() == 2, call, "input ", shape_text(x.shape()),
          " is not of rank 1 or 2");
  const Pool pool = read_pool(call);
  const std::vector<int64_t> tokens = read_tokens(call, pool);
  const int64_t rows = x.rank() == 2 ? x.dim(0) : 1, length = x.dim(-1);
  Tensor out(DType::kFloat, x.rank() == 2 ? Shape{rows, pool.width} : Shape{pool.width});
  const auto y = out.mutable_data<float>();
  for (int64_t r = 0; r < rows; ++r) {
    std::vector<float> counts(pool.columns.size(), 0);
    count_grams(pool, {tokens.data() + r * length, static_cast<size_t>(length)}, grams, counts);
    for (size_t i = 0; i < counts.size(); ++i) {
      const float weight = mode == "TF" || pool.weights.empty() ? 1 : pool.weights[i];
      const float count = mode == "IDF" ? std::min(counts[i], 1.0f) : counts[i];
      y[static_cast<size_t>(r * pool.width + pool.columns[i])] += count * weight;
    }
  }
  return {out};
}

}  // namespace

extern const OpDef kTfIdfVectorizer{.type = "TfIdfVectorizer",
                                    .since = 9,
                                    .eval = eval_tfidf,
                                    .quant = {.reason = "counts n-grams; the output is small"}};

}  // namespace qtool
