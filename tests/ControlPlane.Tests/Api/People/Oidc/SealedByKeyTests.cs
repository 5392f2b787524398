using System.Security.Cryptography;
using System.Text;
using DeepSeekOps.ControlPlane.Api.People.Oidc;
using Microsoft.AspNetCore.DataProtection;
using Xunit;

namespace DeepSeekOps.ControlPlane.Tests.Api.People.Oidc;

/// <summary>What a browser carries to the provider and back.</summary>
public sealed class SealedByKeyTests
{
    private static readonly byte[] Text = Encoding.UTF8.GetBytes("where to, and the verifier");

    [Fact]
    public void It_is_opened_by_whoever_has_the_key_for_its_purpose_alone()
    {
        byte[] key = RandomNumberGenerator.GetBytes(32);
        byte[] carried = new SealedByKey(key).CreateProtector("state").Protect(Text);
        Assert.Equal(-1, carried.AsSpan().IndexOf(Text.AsSpan(0, 8)));
        Assert.Equal(Text, new SealedByKey(key).CreateProtector("state").Unprotect(carried));
        Assert.NotEqual(carried, new SealedByKey(key).CreateProtector("state").Protect(Text));
        foreach (var other in new[]
        {
            new SealedByKey(key).CreateProtector("nonce"), new SealedByKey(new byte[32]).CreateProtector("state"),
        })
        {
            Assert.ThrowsAny<CryptographicException>(() => other.Unprotect(carried));
        }
    }

    [Fact]
    public void A_byte_that_was_changed_or_cut_off_opens_nothing()
    {
        var own = new SealedByKey(new byte[32]).CreateProtector("state");
        byte[] carried = own.Protect(Text);
        for (int i = 0; i < carried.Length; i++)
        {
            byte[] changed = [.. carried];
            changed[i] ^= 1;
            Assert.ThrowsAny<CryptographicException>(() => own.Unprotect(changed));
            Assert.ThrowsAny<CryptographicException>(() => own.Unprotect(carried[..i]));
        }
    }
}
