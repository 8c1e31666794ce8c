#include "data/npy.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <charconv>
#include <cstring>

#include "data/files.hpp"

namespace qtool::data {
namespace {

static_assert(std::endian::native == std::endian::little);
constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxRank = 64;

struct TypeCode {
  const char* code;
  DType dtype;
};
constexpr std::array<TypeCode, 12> kTypeCodes = {{
    {"f2", DType::kFloat16},
    {"f4", DType::kFloat},
    {"f8", DType::kDouble},
    {"i1", DType::kInt8},
    {"i2", DType::kInt16},
    {"i4", DType::kInt32},
    {"i8", DType::kInt64},
    {"u1", DType::kUint8},
    {"u2", DType::kUint16},
    {"u4", DType::kUint32},
    {"u8", DType::kUint64},
    {"b1", DType::kBool},
}};

[[noreturn]] void bad_npy(const std::string& origin, std::string_view what) {
  throw_data("QT-E420", cat("'", printable(origin), "' is not a readable .npy array: ", what));
}

// The header's Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& origin) : text_(text), origin_(origin) {}

  void parse(NpyHeader& header) {
    expect('{');
    int seen = 0;
    while (!accept('}')) {
      std::string key = quoted();
      expect(':');
      if (key == "descr")
        header.descr = descr();
      else if (key == "fortran_order")
        header.fortran_order = boolean();
      else if (key == "shape")
        header.shape = tuple();
      else
        bad_npy(origin_, cat("unknown header key '", printable(key), "'"));
      ++seen;
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (seen != 3 || header.descr.empty()) bad_npy(origin_, "its header is not complete");
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool accept(char c) {
    skip_space();
    bool found = at_ < text_.size() && text_[at_] == c;
    at_ += found;
    return found;
  }
  void expect(char c) {
    if (!accept(c)) bad_npy(origin_, cat("its header lacks '", c, "'"));
  }
  std::string quoted() {
    skip_space();
    char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) bad_npy(origin_, "its header is cut off");
    std::string word(text_.substr(at_, end - at_));
    at_ = end + 1;
    return word;
  }
  std::string descr() {
    skip_space();
    if (at_ < text_.size() && text_[at_] == '[') bad_npy(origin_, "it holds records, not numbers");
    return quoted();
  }
  bool boolean() {
    skip_space();
    for (std::string_view word : {"True", "False"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return word == "True";
    }
    bad_npy(origin_, "fortran_order is neither True nor False");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t dim = 0;
      auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), dim);
      if (error != std::errc() || dim < 0 || shape.size() == kMaxRank)
        bad_npy(origin_, "its shape makes no sense");
      at_ = static_cast<size_t>(end - text_.data());
      shape.push_back(dim);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const std::string& origin_;
  size_t at_ = 0;
};

void read_type(NpyHeader& header, const std::string& origin) {
  const std::string& descr = header.descr;
  size_t skip = descr.find_first_of("<>|=") == 0 ? 1 : 0;
  if (descr.substr(skip, 1) == "O") {
    throw Error(
        ErrorKind::kData, "QT-E421",
        cat("'", printable(origin), "' holds pickled Python objects, which are never loaded"))
        .hint("save a numeric array: np.save(path, np.stack(list).astype(np.float32))");
  }
  header.swapped = descr[0] == '>';
  for (const TypeCode& type : kTypeCodes) {
    if (descr.substr(skip) == type.code) header.dtype = type.dtype;
  }
}

int64_t checked_bytes(const NpyHeader& header, const std::string& origin) {
  int64_t bytes = byte_size(header.dtype, 1);
  bool empty = std::ranges::find(header.shape, 0) != header.shape.end();
  if (empty) return 0;
  for (int64_t dim : header.shape) {
    if (__builtin_mul_overflow(bytes, dim, &bytes))
      bad_npy(origin, cat("its shape ", shape_text(header.shape), " is too large"));
  }
  return bytes;
}

// C order from Fortran order: the source index is counted up along with the target.
void copy_from_fortran(const char* from, char* to, const Shape& shape, size_t item) {
  std::vector<int64_t> index(shape.size(), 0), step(shape.size(), 1);
  for (size_t axis = 1; axis < shape.size(); ++axis) step[axis] = step[axis - 1] * shape[axis - 1];
  int64_t source = 0;
  while (true) {
    std::memcpy(to, from + static_cast<size_t>(source) * item, item);
    to += item;
    size_t axis = shape.size();
    while (axis > 0) {
      --axis;
      source += step[axis];
      if (++index[axis] < shape[axis]) break;
      source -= step[axis] * shape[axis];
      index[axis] = 0;
      if (axis == 0) return;
    }
  }
}

void swap_bytes(char* bytes, size_t count, size_t item) {
  for (size_t i = 0; i < count; ++i) std::reverse(bytes + i * item, bytes + (i + 1) * item);
}

void check_booleans(const Tensor& tensor, const std::string& origin) {
  if (tensor.dtype() != DType::kBool) return;
  const auto* bytes = static_cast<const uint8_t*>(tensor.raw());
  if (std::any_of(bytes, bytes + tensor.size(), [](uint8_t b) { return b > 1; }))
    bad_npy(origin, "a boolean is neither 0 nor 1");
}

}  // namespace

NpyHeader parse_npy_header(std::string_view bytes, const std::string& origin) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 12) bad_npy(origin, "it does not begin as one");
  int version = bytes[6];
  if (version < 1 || version > 3) bad_npy(origin, cat("format version ", version));
  size_t prefix = version == 1 ? 10 : 12;
  size_t length = version == 1 ? u16_le(bytes, 8) : u32_le(bytes, 8);
  if (length > kMaxNpyHeader) bad_npy(origin, cat("its header has ", length, " bytes"));
  if (bytes.size() < prefix + length) bad_npy(origin, "its header is cut off");
  NpyHeader header;
  HeaderParser(bytes.substr(prefix, length), origin).parse(header);
  read_type(header, origin);
  header.data_offset = prefix + length;
  if (header.dtype != DType::kUndefined) header.data_bytes = checked_bytes(header, origin);
  return header;
}

Tensor npy_tensor(const NpyHeader& header, std::string_view elements,
                  std::shared_ptr<const void> owner, const std::string& origin) {
  if (header.dtype == DType::kUndefined)
    bad_npy(origin, cat("elements of type '", printable(header.descr), "' are not numbers"));
  if (static_cast<int64_t>(elements.size()) != header.data_bytes) {
    throw_data("QT-E422",
               cat("'", printable(origin), "': its shape ", shape_text(header.shape), " takes ",
                   header.data_bytes, " bytes, the file holds ", elements.size()));
  }
  auto item = static_cast<size_t>(byte_size(header.dtype, 1));
  bool aligned = reinterpret_cast<uintptr_t>(elements.data()) % item == 0;
  bool reorder = header.fortran_order && header.shape.size() > 1;
  bool swap = header.swapped && item > 1;
  Tensor tensor;
  if (owner && aligned && !reorder && !swap) {
    tensor = Tensor::view(header.dtype, header.shape, elements.data(), std::move(owner));
  } else {
    tensor = Tensor::uninitialized(header.dtype, header.shape);
    auto* to = static_cast<char*>(tensor.mutable_raw());
    if (elements.empty()) return tensor;
    if (reorder)
      copy_from_fortran(elements.data(), to, header.shape, item);
    else
      std::memcpy(to, elements.data(), elements.size());
    if (swap) swap_bytes(to, elements.size() / item, item);
  }
  check_booleans(tensor, origin);
  return tensor;
}

std::string npy_header_text(DType type, const Shape& shape) {
  std::string code;
  for (const TypeCode& known : kTypeCodes) {
    if (known.dtype == type) code = known.code;
  }
  if (code.empty()) throw_internal(cat("no .npy type for ", dtype_name(type)));
  std::string dims;
  for (int64_t dim : shape) dims += cat(dim, ", ");
  if (shape.size() > 1) dims.resize(dims.size() - 2);
  if (shape.size() == 1) dims.resize(dims.size() - 1);
  std::string text = cat("{'descr': '", code[1] == '1' ? '|' : '<', code,
                         "', 'fortran_order': False, 'shape': (", dims, "), }");
  size_t length = (10 + text.size() + 1 + 63) / 64 * 64 - 10;
  text.resize(length - 1, ' ');
  std::string head(kMagic);
  head += {'\x01', '\x00', static_cast<char>(length & 0xff), static_cast<char>(length >> 8)};
  return head + text + "\n";
}

}  // namespace qtool::data

namespace qtool {

Tensor read_npy(const std::filesystem::path& path) {
  auto file = data::MappedFile::open(path);
  std::string origin = path.string();
  data::NpyHeader header = data::parse_npy_header(file->bytes(), origin);
  return data::npy_tensor(header, file->bytes().substr(header.data_offset), file, origin);
}

Tensor parse_npy(std::string_view bytes, const std::string& origin) {
  data::NpyHeader header = data::parse_npy_header(bytes, origin);
  return data::npy_tensor(header, bytes.substr(header.data_offset), nullptr, origin);
}

}  // namespace qtool
