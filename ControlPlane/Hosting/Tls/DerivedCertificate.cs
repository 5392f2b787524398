using System.Globalization;
using System.Numerics;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace DeepSeekOps.ControlPlane.Hosting.Tls;

/// <summary>
/// A certificate whose private key follows from a secret: made anew at each start and never written down, and its key is the same. Who
/// knows the public key needs no authority to know whom he talks to.
/// </summary>
internal static class DerivedCertificate
{
    /// <summary>As curl's --pinnedpubkey writes it, so that anybody can compare.</summary>
    public const string PinBegin = "sha256//";

    public static X509Certificate2 Of(ReadOnlySpan<byte> secret, string name)
    {
        using var key = KeyOf(secret);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var now = TimeProvider.System.GetUtcNow();
        // Of no meaning: what is asked for is the key, and clocks of machines differ.
        return request.CreateSelfSigned(now.AddYears(-1), now.AddYears(100));
    }

    /// <summary>What tells its public key from every other.</summary>
    public static string PinOf(X509Certificate2 certificate) =>
        PinBegin + Convert.ToBase64String(SHA256.HashData(certificate.PublicKey.ExportSubjectPublicKeyInfo()));

    /// <summary>A private key of P-256 is any number from 1 to its order - 1.</summary>
    private static ECDsa KeyOf(ReadOnlySpan<byte> secret)
    {
        var order = BigInteger.Parse("0FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551",
            NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        var number = (new BigInteger(secret, isUnsigned: true, isBigEndian: true) % (order - 1)) + 1;
        byte[] d = new byte[32];
        byte[] digits = number.ToByteArray(isUnsigned: true, isBigEndian: true);
        digits.CopyTo(d, d.Length - digits.Length);
        return ECDsa.Create(new ECParameters { Curve = ECCurve.NamedCurves.nistP256, D = d });
    }
}
