// C_* functions of the library, slots, tokens, sessions and login (PKCS#11 2.40, 5.4 to 5.6).
#include <algorithm>
#include <cstring>

#include "pkcs11/call.h"
#include "pkcs11/functions_3_0.h"

using namespace keymeld;
using namespace keymeld::pkcs11;

namespace {

template <std::size_t N> void put_padded(unsigned char (&out)[N], std::string_view text) {
    std::memset(out, ' ', N);
    std::memcpy(out, text.data(), std::min(N, text.size()));
}

constexpr CK_VERSION kLibraryVersion{KEYMELD_VERSION_MAJOR, KEYMELD_VERSION_MINOR};
constexpr std::string_view kManufacturer = "KeyMeld";

struct Offered {
    CK_MECHANISM_TYPE type;
    CK_MECHANISM_INFO info;
};
constexpr CK_FLAGS kCurve = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS | CKF_HW;
constexpr Offered kMechanisms[] = {
    {CKM_ECDSA, {256, 256, CKF_SIGN | CKF_VERIFY | kCurve}},
    {CKM_ECDSA_SHA256, {256, 256, CKF_SIGN | CKF_VERIFY | kCurve}},
    {CKM_KEYMELD_SCHNORR_BIP340, {256, 256, CKF_SIGN | CKF_VERIFY | kCurve}},
    {CKM_EC_KEY_PAIR_GEN, {256, 256, CKF_GENERATE_KEY_PAIR | kCurve}},
    {CKM_SHA256, {0, 0, CKF_DIGEST}},
};

bool offers(const Token& token, const Offered& mechanism) {
    return mechanism.type != CKM_EC_KEY_PAIR_GEN || token.config().generate_keys;
}

} // namespace

CK_RV C_Initialize(void* init_args) {
    return guarded([init_args] { return initialize(static_cast<const CK_C_INITIALIZE_ARGS*>(init_args)); });
}

CK_RV C_Finalize(void* reserved) {
    return guarded([reserved]() -> CK_RV {
        if (reserved != nullptr)
            return CKR_ARGUMENTS_BAD;
        return finalize();
    });
}

CK_RV C_GetInfo(CK_INFO* info) {
    return with_module([info](Module&) -> CK_RV {
        if (info == nullptr)
            return CKR_ARGUMENTS_BAD;
        *info = {};
        info->cryptokiVersion = {3, 0};
        put_padded(info->manufacturerID, kManufacturer);
        put_padded(info->libraryDescription, "KeyMeld signing appliance");
        info->libraryVersion = kLibraryVersion;
        return CKR_OK;
    });
}

CK_RV C_GetSlotList(unsigned char token_present, CK_SLOT_ID* list, CK_ULONG* count) {
    return with_module([=](Module& module) -> CK_RV {
        if (count == nullptr)
            return CKR_ARGUMENTS_BAD;
        std::vector<CK_SLOT_ID> slots;
        for (const auto& token : module.tokens())
            if (token_present == CK_FALSE || token->present())
                slots.push_back(token->slot());
        const CK_ULONG room = *count;
        *count = slots.size();
        if (list == nullptr)
            return CKR_OK;
        if (room < slots.size())
            return CKR_BUFFER_TOO_SMALL;
        std::copy(slots.begin(), slots.end(), list);
        return CKR_OK;
    });
}

CK_RV C_GetSlotInfo(CK_SLOT_ID slot, CK_SLOT_INFO* info) {
    return with_module([=](Module& module) -> CK_RV {
        Token* const token = module.token(slot);
        if (token == nullptr)
            return CKR_SLOT_ID_INVALID;
        if (info == nullptr)
            return CKR_ARGUMENTS_BAD;
        *info = {};
        put_padded(info->slotDescription, "KeyMeld " + token->label());
        put_padded(info->manufacturerID, kManufacturer);
        info->flags = CKF_REMOVABLE_DEVICE | CKF_HW_SLOT | (token->present() ? CKF_TOKEN_PRESENT : 0);
        info->firmwareVersion = kLibraryVersion;
        return CKR_OK;
    });
}

CK_RV C_GetTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO* info) {
    return with_module([=](Module& module) -> CK_RV {
        Token* const token = module.token(slot);
        if (token == nullptr)
            return CKR_SLOT_ID_INVALID;
        if (info == nullptr)
            return CKR_ARGUMENTS_BAD;
        if (const CK_RV code = token->check_present(); code != CKR_OK)
            return code;
        *info = {};
        put_padded(info->label, token->label());
        put_padded(info->manufacturerID, kManufacturer);
        put_padded(info->model, "appliance");
        put_padded(info->serialNumber, std::to_string(slot));
        info->flags = CKF_RNG | CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED | CKF_TOKEN_INITIALIZED;
        if (!token->config().generate_keys)
            info->flags |= CKF_WRITE_PROTECTED;
        if (token->config().pin_file)
            info->flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
        if (token->pin_count_low())
            info->flags |= CKF_USER_PIN_COUNT_LOW;
        const Module::Count sessions = module.sessions_of(*token);
        info->ulMaxSessionCount = kMaxSessions;
        info->ulSessionCount = sessions.all;
        info->ulMaxRwSessionCount = kMaxSessions;
        info->ulRwSessionCount = sessions.read_write;
        info->ulMaxPinLen = client::kMaxPin;
        info->ulMinPinLen = client::kMinPin;
        info->ulTotalPublicMemory = info->ulFreePublicMemory = CK_UNAVAILABLE_INFORMATION;
        info->ulTotalPrivateMemory = info->ulFreePrivateMemory = CK_UNAVAILABLE_INFORMATION;
        info->firmwareVersion = kLibraryVersion;
        return CKR_OK;
    });
}

CK_RV C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID*, void*) {
    return with_module([flags](Module&) -> CK_RV {
        return (flags & CKF_DONT_BLOCK) != 0 ? CKR_NO_EVENT : CKR_FUNCTION_NOT_SUPPORTED;
    });
}

CK_RV C_GetMechanismList(CK_SLOT_ID slot, CK_MECHANISM_TYPE* list, CK_ULONG* count) {
    return with_module([=](Module& module) -> CK_RV {
        const Token* const token = module.token(slot);
        if (token == nullptr)
            return CKR_SLOT_ID_INVALID;
        if (count == nullptr)
            return CKR_ARGUMENTS_BAD;
        std::vector<CK_MECHANISM_TYPE> offered;
        for (const Offered& mechanism : kMechanisms)
            if (offers(*token, mechanism))
                offered.push_back(mechanism.type);
        const CK_ULONG room = *count;
        *count = offered.size();
        if (list == nullptr)
            return CKR_OK;
        if (room < offered.size())
            return CKR_BUFFER_TOO_SMALL;
        std::copy(offered.begin(), offered.end(), list);
        return CKR_OK;
    });
}

CK_RV C_GetMechanismInfo(CK_SLOT_ID slot, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO* info) {
    return with_module([=](Module& module) -> CK_RV {
        const Token* const token = module.token(slot);
        if (token == nullptr)
            return CKR_SLOT_ID_INVALID;
        if (info == nullptr)
            return CKR_ARGUMENTS_BAD;
        for (const Offered& mechanism : kMechanisms) {
            if (mechanism.type == type && offers(*token, mechanism)) {
                *info = mechanism.info;
                return CKR_OK;
            }
        }
        return CKR_MECHANISM_INVALID;
    });
}

CK_RV C_OpenSession(CK_SLOT_ID slot, CK_FLAGS flags, void*, CK_NOTIFY, CK_SESSION_HANDLE* session) {
    return with_module([=](Module& module) -> CK_RV {
        if (session == nullptr)
            return CKR_ARGUMENTS_BAD;
        return module.open_session(slot, flags, *session);
    });
}

CK_RV C_CloseSession(CK_SESSION_HANDLE session) {
    return with_module([session](Module& module) { return module.close_session(session); });
}

CK_RV C_CloseAllSessions(CK_SLOT_ID slot) {
    return with_module([slot](Module& module) { return module.close_all_sessions(slot); });
}

CK_RV C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO* info) {
    return with_session(handle, [info](Session& session, Module&) -> CK_RV {
        if (info == nullptr)
            return CKR_ARGUMENTS_BAD;
        *info = {session.token().slot(), session.state(), session.flags(), 0};
        return CKR_OK;
    });
}

CK_RV C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, unsigned char* pin, CK_ULONG pin_length) {
    return with_session(handle, [=](Session& session, Module& module) -> CK_RV {
        if (user == CKU_SO)
            return module.has_read_only_session(session.token()) ? CKR_SESSION_READ_ONLY_EXISTS : CKR_USER_TYPE_INVALID;
        if (user == CKU_CONTEXT_SPECIFIC)
            return CKR_OPERATION_NOT_INITIALIZED; // no key asks for it
        if (user != CKU_USER)
            return CKR_USER_TYPE_INVALID;
        return session.token().login(pin, pin_length);
    });
}

CK_RV C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, unsigned char* pin, CK_ULONG pin_length, unsigned char*, CK_ULONG name_length) {
    if (name_length != 0)
        return with_session(handle, [](Session&, Module&) -> CK_RV { return CKR_ARGUMENTS_BAD; });
    return C_Login(handle, user, pin, pin_length);
}

CK_RV C_Logout(CK_SESSION_HANDLE handle) {
    return with_session(handle, [](Session& session, Module&) { return session.token().logout(); });
}

CK_RV C_SetPIN(CK_SESSION_HANDLE handle, unsigned char* old_pin, CK_ULONG old_length, unsigned char* new_pin, CK_ULONG new_length) {
    return with_session(handle, [=](Session& session, Module&) -> CK_RV {
        if (old_pin == nullptr || new_pin == nullptr)
            return CKR_ARGUMENTS_BAD;
        if (session.read_only())
            return CKR_SESSION_READ_ONLY;
        return session.token().change_pin({old_pin, old_length}, {new_pin, new_length});
    });
}

CK_RV C_SessionCancel(CK_SESSION_HANDLE handle, CK_FLAGS flags) {
    return with_session(handle, [flags](Session& session, Module&) { return session.cancel(flags); });
}
