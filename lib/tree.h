// Intrusive balanced search tree (AVL: the heights of siblings differ by at most one) with parent links and an augmentation: a
// fact about each subtree that is computed from its root and its two children, kept right through every change of
// shape. Nothing allocates. Not locked; the tree's owner names the lock.
#pragma once

#include <cstdint>

#include "lib/panic.h"

namespace faultline {

template <typename T>
class TreeNode {
 public:
  TreeNode() = default;
  TreeNode(const TreeNode&) = delete;
  TreeNode& operator=(const TreeNode&) = delete;
  bool is_linked() const { return height_ != 0; }

 private:
  template <typename, typename>
  friend class Tree;
  T* left_ = nullptr;
  T* right_ = nullptr;
  T* parent_ = nullptr;
  uint32_t height_ = 0;  // of this subtree; 0: in no tree
};

// T derives from TreeNode<T>. Traits has
//   static bool less(const T&, const T&)                        a strict order, for insert()
//   static bool update(T& node, const T* left, const T* right)  recomputes the augmentation of `node`; whether what those above
//                                                               say has to be computed again
template <typename T, typename Traits>
class Tree {
 public:
  Tree() = default;
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  ~Tree() { ASSERT(root_ == nullptr); }

  bool is_empty() const { return root_ == nullptr; }
  T* root() const { return root_; }
  static T* left(const T& node) { return base(node).left_; }
  static T* right(const T& node) { return base(node).right_; }
  static T* parent(const T& node) { return base(node).parent_; }

  T* first() const { return root_ ? leftmost(root_) : nullptr; }
  T* last() const { return root_ ? rightmost(root_) : nullptr; }
  static T* next(const T& node) {
    if (right(node)) return leftmost(right(node));
    const T* below = &node;
    T* above = parent(node);
    while (above && right(*above) == below) {
      below = above;
      above = parent(*above);
    }
    return above;
  }
  static T* previous(const T& node) {
    if (left(node)) return rightmost(left(node));
    const T* below = &node;
    T* above = parent(node);
    while (above && left(*above) == below) {
      below = above;
      above = parent(*above);
    }
    return above;
  }

  void insert(T& value) {
    ASSERT(!base(value).is_linked());
    T* above = nullptr;
    T** link = &root_;
    while (*link) {
      above = *link;
      link = Traits::less(value, *above) ? &base(*above).left_ : &base(*above).right_;
    }
    link_below(above, *link, value);
  }

  // `value` comes right behind `before` in the order; first of all behind null.
  void insert_after(T* before, T& value) {
    ASSERT(!base(value).is_linked());
    if (before && !right(*before)) return link_below(before, base(*before).right_, value);
    T* top = before ? right(*before) : root_;
    if (!top) return link_below(nullptr, root_, value);
    T* above = leftmost(top);
    link_below(above, base(*above).left_, value);
  }

  void remove(T& value) {
    ASSERT(base(value).is_linked());
    T* from;  // the lowest node whose subtree changed
    T* successor = nullptr;
    if (left(value) && right(value)) {
      successor = leftmost(right(value));
      from = parent(*successor) == &value ? successor : parent(*successor);
      splice_out(*successor);
      adopt(*successor, value);
    } else {
      from = parent(value);
      splice_out(value);
    }
    base(value).left_ = base(value).right_ = base(value).parent_ = nullptr;
    base(value).height_ = 0;
    refresh(from);
    if (successor) refresh_from_new_place(*successor);
    repair_heights(from);
  }

  // After the caller has changed what the augmentation of `value` is computed from (not its place in the order).
  void refresh(T& value) { refresh(&value); }

  // Makes this empty tree a copy of `other` in shape: `copy(const T&)` returns a new node, or null to give up. False
  // if it gave up: then the nodes made so far are in this tree.
  template <typename Copy>
  [[nodiscard]] bool copy_shape(const Tree& other, Copy copy) {
    ASSERT(!root_);
    return !other.root_ || copy_below(*other.root_, nullptr, &root_, copy);
  }

  // Empties the tree from the leaves up, without keeping it balanced; `dispose(T&)` may end the node.
  template <typename Dispose>
  void clear(Dispose dispose) {
    T* node = root_;
    root_ = nullptr;
    while (node) {
      if (left(*node)) {
        node = left(*node);
      } else if (right(*node)) {
        node = right(*node);
      } else {
        T* above = parent(*node);
        if (above) (left(*above) == node ? base(*above).left_ : base(*above).right_) = nullptr;
        base(*node).parent_ = nullptr;
        base(*node).height_ = 0;
        dispose(*node);
        node = above;
      }
    }
  }

 private:
  static TreeNode<T>& base(T& node) { return node; }
  static const TreeNode<T>& base(const T& node) { return node; }
  static uint32_t height(const T* node) { return node ? base(*node).height_ : 0; }
  static T* leftmost(T* node) {
    while (left(*node)) node = left(*node);
    return node;
  }
  static T* rightmost(T* node) {
    while (right(*node)) node = right(*node);
    return node;
  }
  static void refresh(T* node) {
    while (node && Traits::update(*node, left(*node), right(*node))) node = parent(*node);
  }
  // What `node` said in its old place, or in none, has nothing to do with what those above it say.
  static void refresh_from_new_place(T& node) {
    Traits::update(node, left(node), right(node));
    refresh(parent(node));
  }
  static void update(T& node) {
    const uint32_t l = height(left(node)), r = height(right(node));
    base(node).height_ = (l > r ? l : r) + 1;
    Traits::update(node, left(node), right(node));
  }

  void link_below(T* above, T*& link, T& value) {
    base(value).parent_ = above;
    base(value).height_ = 1;
    link = &value;
    refresh_from_new_place(value);
    repair_heights(above);
  }
  T*& link_to(const T& node) {
    T* above = parent(node);
    return !above ? root_ : left(*above) == &node ? base(*above).left_ : base(*above).right_;
  }
  // `node` has at most one child, which takes its place.
  void splice_out(T& node) {
    T* child = left(node) ? left(node) : right(node);
    if (child) base(*child).parent_ = parent(node);
    link_to(node) = child;
  }
  // `node`, in no place, takes the place and children of `old`.
  void adopt(T& node, T& old) {
    base(node).left_ = left(old);
    base(node).right_ = right(old);
    base(node).parent_ = parent(old);
    base(node).height_ = base(old).height_;
    link_to(old) = &node;
    if (left(node)) base(*left(node)).parent_ = &node;
    if (right(node)) base(*right(node)).parent_ = &node;
  }

  // The child on one side becomes the root of this subtree; returns it.
  T* rotate_left(T& node) {
    T* up = right(node);
    link_to(node) = up;
    base(*up).parent_ = parent(node);
    base(node).right_ = left(*up);
    if (left(*up)) base(*left(*up)).parent_ = &node;
    base(*up).left_ = &node;
    base(node).parent_ = up;
    update(node);
    update(*up);
    return up;
  }
  T* rotate_right(T& node) {
    T* up = left(node);
    link_to(node) = up;
    base(*up).parent_ = parent(node);
    base(node).left_ = right(*up);
    if (right(*up)) base(*right(*up)).parent_ = &node;
    base(*up).right_ = &node;
    base(node).parent_ = up;
    update(node);
    update(*up);
    return up;
  }
  // The side that leans too far gives its child as the new root of this subtree; returns that.
  T* rotate(T& node, bool leans_left) {
    if (leans_left) {
      T* child = left(node);
      if (height(left(*child)) < height(right(*child))) rotate_left(*child);
      return rotate_right(node);
    }
    T* child = right(node);
    if (height(right(*child)) < height(left(*child))) rotate_right(*child);
    return rotate_left(node);
  }
  // From the lowest node below which something came or went, up to where no height changes any more. The augmentation is right already.
  void repair_heights(T* node) {
    for (; node; node = parent(*node)) {
      const uint32_t l = height(left(*node)), r = height(right(*node)), before = base(*node).height_;
      if (l > r + 1 || r > l + 1) [[unlikely]]
        node = rotate(*node, l > r);
      else
        base(*node).height_ = (l > r ? l : r) + 1;
      if (base(*node).height_ == before) return;
    }
  }

  template <typename Copy>
  static bool copy_below(const T& source, T* above, T** link, Copy& copy) {
    T* node = copy(source);
    if (!node) return false;
    *link = node;
    base(*node).parent_ = above;
    base(*node).height_ = 1;  // so that it counts as linked should the rest fail
    if (left(source) && !copy_below(*left(source), node, &base(*node).left_, copy)) return false;
    if (right(source) && !copy_below(*right(source), node, &base(*node).right_, copy)) return false;
    update(*node);
    return true;
  }

  T* root_ = nullptr;
};

}  // namespace faultline
