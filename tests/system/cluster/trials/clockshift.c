// Preloaded into a process: its wall clock is off by CLOCKSHIFT seconds. Sleeps, monotonic clocks and the times of
// files stay as they are, as with a host whose clock is wrong. (Debian 12's libfaketime makes time.sleep of Python 3.11
// fail, which sleeps until a moment of the monotonic clock.)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    const char *given = getenv("CLOCKSHIFT");
    return given ? atol(given) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *found) {
    int done = syscall(SYS_clock_gettime, clock, found);
    if (done == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) found->tv_sec += shift();
    return done;
}

int gettimeofday(struct timeval *restrict found, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (found) *found = now.tv_sec;
    return now.tv_sec;
}

// A deadline by the shifted clock, as the kernel's clock has it. One by the monotonic clock, which a condition may go
// by, counts from the machine's start, and stays.
static struct timespec real(const struct timespec *deadline) {
    static const time_t thirty_years = 1000000000;
    struct timespec there = *deadline;
    if (there.tv_sec > thirty_years) there.tv_sec -= shift();
    return there;
}

int sem_timedwait(sem_t *one, const struct timespec *deadline) {
    static int (*next)(sem_t *, const struct timespec *);
    struct timespec there = real(deadline);
    if (!next) next = dlsym(RTLD_NEXT, "sem_timedwait");
    return next(one, &there);
}

int pthread_cond_timedwait(pthread_cond_t *one, pthread_mutex_t *lock, const struct timespec *deadline) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec there = real(deadline);
    // The symbol's newest version: dlsym would find the oldest.
    if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    return next(one, lock, &there);
}
