// Intrusive doubly linked list: nothing allocates, an element knows whether it is linked. Not locked; the list's
// owner names the lock. An object may be on several lists through several tagged nodes.
#pragma once

#include <cstddef>

#include "lib/panic.h"

namespace faultline {

template <typename Tag = void>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { DEBUG_ASSERT(!is_linked()); }

  bool is_linked() const { return next_ != nullptr; }
  void unlink() {
    ASSERT(is_linked());
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
  }

 private:
  template <typename, typename>
  friend class List;
  ListNode* next_ = nullptr;
  ListNode* previous_ = nullptr;
};

// T derives from ListNode<Tag>.
template <typename T, typename Tag = void>
class List {
  using Node = ListNode<Tag>;

 public:
  List() { clear_head(); }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    ASSERT(is_empty());
    head_.next_ = head_.previous_ = nullptr;
  }

  bool is_empty() const { return head_.next_ == &head_; }
  T* front() const { return is_empty() ? nullptr : element(head_.next_); }
  T* back() const { return is_empty() ? nullptr : element(head_.previous_); }
  void push_back(T& value) { link(value, head_.previous_, &head_); }
  void push_front(T& value) { link(value, &head_, head_.next_); }
  void insert_before(T& position, T& value) { link(value, static_cast<Node&>(position).previous_, &position); }
  T* pop_front() {
    T* value = front();
    if (value) static_cast<Node*>(value)->unlink();
    return value;
  }
  void remove(T& value) { static_cast<Node&>(value).unlink(); }
  T* next(const T& value) const {
    Node* node = static_cast<const Node&>(value).next_;
    return node == &head_ ? nullptr : element(node);
  }

  T* previous(const T& value) const {
    Node* node = static_cast<const Node&>(value).previous_;
    return node == &head_ ? nullptr : element(node);
  }

  // Iteration; the element being visited may be unlinked by the body.
  class Iterator {
   public:
    Iterator(Node* node) : node_(node), following_(node->next_) {}  // NOLINT
    T& operator*() const { return *element(node_); }
    Iterator& operator++() {
      node_ = following_;
      following_ = node_->next_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return node_ != other.node_; }

   private:
    Node* node_;
    Node* following_;
  };
  Iterator begin() { return Iterator(head_.next_); }
  Iterator end() { return Iterator(&head_); }

 private:
  static T* element(Node* node) { return &static_cast<T&>(*node); }  // by reference: a pointer would be asked whether it is null
  void clear_head() { head_.next_ = head_.previous_ = &head_; }
  static void link(T& value, Node* before, Node* after) {
    Node& node = value;
    ASSERT(!node.is_linked());
    node.previous_ = before;
    node.next_ = after;
    before->next_ = &node;
    after->previous_ = &node;
  }
  mutable Node head_;
};

}  // namespace faultline
