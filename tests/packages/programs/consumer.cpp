// A C++ program as a user would write one: a thread puts, another gets.
#include <aqueduct/aqueduct.h>
#if __has_include(<aqueduct/aqueduct.hpp>)
#include <aqueduct/aqueduct.hpp>
#endif

#include <iostream>
#include <memory>
#include <string>
#include <thread>

namespace {

struct ring_free {
    void operator()(aq_ring *ring) const { aq_ring_free(ring); }
};

void free_item(void *item, void *) { delete static_cast<std::string *>(item); }

}  // namespace

int main()
{
    aq_ring *raw = nullptr;
    if (aq_ring_new(4, free_item, nullptr, nullptr, &raw) != AQ_OK) {
        std::cerr << aq_last_error() << '\n';
        return 1;
    }
    const std::unique_ptr<aq_ring, ring_free> ring(raw);

    std::thread producer([&ring] {
        for (int i = 0; i < 100; i++) {
            auto item = std::make_unique<std::string>(std::to_string(i));
            if (aq_ring_put(ring.get(), item.get(), AQ_WAIT_FOREVER) == AQ_OK)
                item.release();
        }
        aq_ring_stop(ring.get(), nullptr);
    });

    int received = 0;
    bool in_order = true;
    void *item = nullptr;
    while (aq_ring_get(ring.get(), AQ_WAIT_FOREVER, &item) == AQ_OK) {
        const std::unique_ptr<std::string> text(static_cast<std::string *>(item));
        in_order = in_order && *text == std::to_string(received++);
    }
    producer.join();

    if (received != 100 || !in_order) {
        std::cerr << "received " << received << " items" << (in_order ? "" : ", out of order") << '\n';
        return 1;
    }
    std::cout << "C++: aqueduct " << aq_version() << " works\n";
    return 0;
}
