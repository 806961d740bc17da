// What NSS's headers say about PKCS#11 3.0; they cannot be included beside p11-kit's.
#pragma once

#include <cstddef>

struct NssLayout {
    std::size_t interface_size, interface_functions, interface_flags, list_size, first_new, last_new, mechanism_size, attribute_size;
    unsigned long fork_safe, cancel_failed, vendor_mechanism, vendor_attribute;
};
NssLayout nss_layout();
