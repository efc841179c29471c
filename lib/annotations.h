// clang's thread-safety analysis, spelt as our conventions name it; nothing for other compilers.
#pragma once

#if defined(__clang__)
#define FAULTLINE_TSA(attribute) __attribute__((attribute))
#else
#define FAULTLINE_TSA(attribute)
#endif

// A function that reads what others write under a lock, and can do with any value it finds: not for ThreadSanitizer's eyes.
#define READS_WITHOUT_LOCK __attribute__((no_sanitize("thread")))

#define CAPABILITY(name) FAULTLINE_TSA(capability(name))
#define SCOPED_CAPABILITY FAULTLINE_TSA(scoped_lockable)
#define GUARDED_BY(lock) FAULTLINE_TSA(guarded_by(lock))
#define PT_GUARDED_BY(lock) FAULTLINE_TSA(pt_guarded_by(lock))
#define REQUIRES(...) FAULTLINE_TSA(requires_capability(__VA_ARGS__))
#define REQUIRES_SHARED(...) FAULTLINE_TSA(requires_shared_capability(__VA_ARGS__))
#define ACQUIRE(...) FAULTLINE_TSA(acquire_capability(__VA_ARGS__))
#define ACQUIRE_SHARED(...) FAULTLINE_TSA(acquire_shared_capability(__VA_ARGS__))
#define TRY_ACQUIRE(...) FAULTLINE_TSA(try_acquire_capability(__VA_ARGS__))
#define RELEASE(...) FAULTLINE_TSA(release_capability(__VA_ARGS__))
#define RELEASE_SHARED(...) FAULTLINE_TSA(release_shared_capability(__VA_ARGS__))
#define EXCLUDES(...) FAULTLINE_TSA(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS FAULTLINE_TSA(no_thread_safety_analysis)
