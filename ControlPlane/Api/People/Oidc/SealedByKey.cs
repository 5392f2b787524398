using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.DataProtection;

namespace DeepSeekOps.ControlPlane.Api.People.Oidc;

/// <summary>
/// What a browser carries to the provider and back, sealed with a key that is derived from dsops.key: control planes that stand in for each
/// other open it too, and nothing has to be kept anywhere. Each purpose has a key of its own.
/// </summary>
internal sealed class SealedByKey(byte[] secret) : IDataProtector
{
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    public IDataProtector CreateProtector(string purpose) =>
        new SealedByKey(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(purpose)));

    public byte[] Protect(byte[] plaintext)
    {
        byte[] whole = new byte[NonceBytes + plaintext.Length + TagBytes];
        var (nonce, body, tag) = Parts(whole);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(secret, TagBytes);
        cipher.Encrypt(nonce, plaintext, body, tag);
        return whole;
    }

    /// <exception cref="CryptographicException">It was not sealed by us, for this purpose.</exception>
    public byte[] Unprotect(byte[] protectedData)
    {
        if (protectedData.Length < NonceBytes + TagBytes)
        {
            throw new CryptographicException("too short to have been sealed");
        }

        var (nonce, body, tag) = Parts(protectedData);
        byte[] opened = new byte[body.Length];
        using var cipher = new AesGcm(secret, TagBytes);
        cipher.Decrypt(nonce, body, tag, opened);
        return opened;
    }

    private static Sealed Parts(byte[] whole) =>
        new(whole.AsSpan(0, NonceBytes), whole.AsSpan(NonceBytes..^TagBytes), whole.AsSpan(whole.Length - TagBytes));

    private readonly ref struct Sealed(Span<byte> nonce, Span<byte> body, Span<byte> tag)
    {
        private readonly Span<byte> nonce = nonce, body = body, tag = tag;

        public void Deconstruct(out Span<byte> first, out Span<byte> middle, out Span<byte> last)
        {
            first = nonce;
            middle = body;
            last = tag;
        }
    }
}
