#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "tensor/buffer.hpp"
#include "tensor/elements.hpp"

namespace qtool {
namespace {

constexpr int64_t kDefaultMaxTensorBytes = int64_t{8} << 30;
std::atomic<int64_t> max_tensor_bytes{kDefaultMaxTensorBytes};

using Strings = std::vector<std::string>;

// The bytes of a tensor about to be made, within the limit.
int64_t checked_bytes(DType type, const Shape& shape, int64_t count) {
  const bool text = type == DType::kString;
  if (type == DType::kUndefined || is_container(type))
    throw_internal(cat("a tensor with elements of type ", dtype_name(type)));
  const int64_t bytes = text ? byte_size(DType::kComplex128, count) * 2 : byte_size(type, count);
  const int64_t limit = max_tensor_bytes.load(std::memory_order_relaxed);
  if (bytes <= limit) return bytes;
  throw Error(ErrorKind::kModel, "QT-E340",
              cat("a tensor of shape ", shape_text(shape), " (", dtype_name(type), ") takes ",
                  human_bytes(static_cast<double>(bytes)), ", more than the limit of ",
                  human_bytes(static_cast<double>(limit))))
      .hint("raise --max-memory if the model really needs it");
}

// Bytes between addresses that the element type may start at.
size_t alignment_of(DType type) {
  const int bits = dtype_bits(type);
  return static_cast<size_t>(bits > 64 ? 8 : bits >= 8 ? bits / 8 : 1);
}

}  // namespace

void set_max_tensor_bytes(int64_t bytes) { max_tensor_bytes = std::max<int64_t>(0, bytes); }

Tensor::Tensor(Tensor&& other) noexcept
    : type_(std::exchange(other.type_, DType::kUndefined)),
      shape_(std::move(other.shape_)),
      count_(std::exchange(other.count_, 0)),
      owner_(std::move(other.owner_)),
      bytes_(std::exchange(other.bytes_, nullptr)),
      writable_(std::exchange(other.writable_, false)),
      mapped_(std::exchange(other.mapped_, false)) {
  other.shape_.clear();
}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  Tensor moved(std::move(other));
  std::swap(type_, moved.type_);
  std::swap(shape_, moved.shape_);
  std::swap(count_, moved.count_);
  std::swap(owner_, moved.owner_);
  std::swap(bytes_, moved.bytes_);
  std::swap(writable_, moved.writable_);
  std::swap(mapped_, moved.mapped_);
  return *this;
}

Tensor::Tensor(DType type, Shape shape) : type_(type), shape_(std::move(shape)) {
  allocate(Fill::kZero);
}

Tensor Tensor::uninitialized(DType type, Shape shape) {
  Tensor t;
  t.type_ = type;
  t.shape_ = std::move(shape);
  t.allocate(Fill::kNone);
  return t;
}

void Tensor::allocate(Fill fill) {
  count_ = element_count(shape_);
  const int64_t bytes = checked_bytes(type_, shape_, count_);
  if (type_ == DType::kString) {
    owner_ = std::make_shared<Strings>(static_cast<size_t>(count_));
  } else {
    owner_ = allocate_bytes(bytes, fill);
  }
  bytes_ = owner_.get();
  writable_ = true;
}

Tensor Tensor::view(DType type, Shape shape, const void* bytes, std::shared_ptr<const void> owner) {
  if (dtype_bits(type) == 0) throw_internal("Tensor::view: elements without width");
  if (reinterpret_cast<uintptr_t>(bytes) % alignment_of(type) != 0) {
    Tensor copy = uninitialized(type, std::move(shape));
    std::memcpy(copy.mutable_raw(), bytes, static_cast<size_t>(copy.bytes()));
    return copy;
  }
  Tensor t;
  t.type_ = type;
  t.count_ = element_count(shape);
  t.shape_ = std::move(shape);
  t.owner_ = std::move(owner);
  t.bytes_ = bytes;
  return t;
}

Tensor Tensor::mapped(DType type, Shape shape, const void* bytes,
                      std::shared_ptr<const void> file) {
  Tensor t = view(type, std::move(shape), bytes, std::move(file));
  t.mapped_ = !t.writable_;
  return t;
}

void Tensor::drop_pages() const {
  if (mapped_) drop_mapped_pages(bytes_, static_cast<size_t>(bytes()));
}

Tensor Tensor::strings(Shape shape, std::vector<std::string> values) {
  Tensor t;
  t.type_ = DType::kString;
  t.count_ = element_count(shape);
  t.shape_ = std::move(shape);
  if (t.count_ != static_cast<int64_t>(values.size())) {
    throw_internal("Tensor::strings: count and shape differ");
  }
  t.owner_ = std::make_shared<Strings>(std::move(values));
  t.bytes_ = t.owner_.get();
  t.writable_ = true;
  return t;
}

Tensor Tensor::sequence(std::vector<Tensor> elements) {
  Tensor t;
  t.type_ = DType::kSequence;
  t.count_ = static_cast<int64_t>(elements.size());
  t.shape_ = {t.count_};
  t.owner_ = std::make_shared<std::vector<Tensor>>(std::move(elements));
  t.bytes_ = t.owner_.get();
  return t;
}

Tensor Tensor::nothing() {
  Tensor t;
  t.type_ = DType::kNothing;
  t.shape_ = {0};
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  if (element_count(shape) != count_) {
    throw_model("QT-E330", cat("cannot reshape ", shape_text(shape_), " to ", shape_text(shape)));
  }
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::reinterpreted(DType type) const {
  if (dtype_bits(type) != dtype_bits(type_) ||
      (type == DType::kString) != (type_ == DType::kString)) {
    throw_internal(cat("cannot read ", dtype_name(type_), " as ", dtype_name(type)));
  }
  Tensor t = *this;
  t.type_ = type;
  return t;
}

void* Tensor::mutable_raw() {
  if (!defined() || is_container(type_))
    throw_internal(cat("writing to a tensor of type ", dtype_name(type_)));
  if (!is_unique()) {
    if (type_ == DType::kString) {
      *this = strings(shape_, string_data());
    } else {
      Tensor copy = uninitialized(type_, shape_);
      if (count_ > 0)
        std::memcpy(const_cast<void*>(copy.bytes_), bytes_, static_cast<size_t>(bytes()));
      *this = std::move(copy);
    }
  }
  return const_cast<void*>(bytes_);  // unique, and allocated writable
}

const std::vector<std::string>& Tensor::string_data() const {
  detail::check_element_type(type_, DType::kString);
  return *static_cast<const Strings*>(bytes_);
}

const std::vector<Tensor>& Tensor::sequence_data() const {
  detail::check_element_type(type_, DType::kSequence);
  return *static_cast<const std::vector<Tensor>*>(bytes_);
}

void Tensor::check_index(int64_t i) const {
  if (i < 0 || i >= count_) throw_internal(cat("element ", i, " of a tensor with ", count_));
}

double Tensor::number(int64_t i) const {
  check_index(i);
  double value = 0;
  read_doubles({type_, bytes_}, i, 1, &value);
  return value;
}

int64_t Tensor::integer(int64_t i) const {
  check_index(i);
  int64_t value = 0;
  if (!is_integer(type_) && type_ != DType::kBool) {
    return saturate_to_int64(number(i));
  }
  read_int64s({type_, bytes_}, i, 1, &value);
  return type_ == DType::kUint64 && value < 0 ? INT64_MAX : value;
}

void Tensor::set_number(int64_t i, double value) {
  check_index(i);
  write_number({type_, mutable_raw()}, i, value);
}

std::vector<int64_t> Tensor::to_int64s() const {
  if (!is_integer(type_) && type_ != DType::kBool) {
    throw_model("QT-E330", cat("expected whole numbers, got a tensor of ", dtype_name(type_)));
  }
  std::vector<int64_t> out(static_cast<size_t>(count_));
  for (int64_t i = 0; i < count_; ++i) out[static_cast<size_t>(i)] = integer(i);
  return out;
}

void detail::check_element_type(DType have, DType want) {
  if (have == want) return;
  throw_internal(cat("a tensor of ", dtype_name(have), " read as ", dtype_name(want)));
}

}  // namespace qtool
