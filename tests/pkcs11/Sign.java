// Signs and verifies with a key of the module through SunPKCS11. Arguments: provider configuration, PIN file, alias, file.
import java.nio.file.*;
import java.security.*;

public class Sign {
    public static void main(String[] arguments) throws Exception {
        Provider provider = Security.getProvider("SunPKCS11").configure(arguments[0]);
        Security.addProvider(provider);
        KeyStore store = KeyStore.getInstance("PKCS11", provider);
        store.load(null, Files.readString(Path.of(arguments[1])).strip().toCharArray());
        PrivateKey key = (PrivateKey) store.getKey(arguments[2], null);
        PublicKey publicKey = store.getCertificate(arguments[2]).getPublicKey();
        byte[] data = Files.readAllBytes(Path.of(arguments[3]));
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(data);
        for (String algorithm : new String[] {"SHA256withECDSA", "NONEwithECDSA", "SHA256withECDSAinP1363Format", "NONEwithECDSAinP1363Format"}) {
            byte[] input = algorithm.startsWith("NONE") ? digest : data;
            Signature signer = Signature.getInstance(algorithm, provider);
            signer.initSign(key);
            signer.update(input);
            byte[] signature = signer.sign();
            Signature verifier = Signature.getInstance(algorithm, provider);
            verifier.initVerify(publicKey);
            verifier.update(input);
            if (!verifier.verify(signature))
                throw new Exception(algorithm + ": does not verify");
            signature[signature.length - 1] ^= 1;
            verifier.initVerify(publicKey);
            verifier.update(input);
            boolean accepted;
            try {
                accepted = verifier.verify(signature);
            } catch (SignatureException refused) {
                accepted = false;
            }
            if (accepted)
                throw new Exception(algorithm + ": verifies although it was changed");
            System.out.println(algorithm + " " + signature.length);
        }
    }
}
